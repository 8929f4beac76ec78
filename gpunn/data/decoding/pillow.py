"""Pillow reads every format; what becomes of each kind of pixel stands in colours.py.

The rotation that a camera noted in the EXIF data is carried out. Of an animation or a file with several pages the
first picture is taken.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, UnidentifiedImageError

from gpunn.data.decoding.colours import bands, channels_of, defined
from gpunn.data.decoding.jpeg_header import Frame, frame_of, has_end, plain_frame_of, shortened
from gpunn.data.decoding.jpeg_picture import JpegPicture
from gpunn.data.decoding.picture import Box, Picture, whole
from gpunn.data.decoding.png import scale_transparency, without_texts
from gpunn.data.decoding.storage import Orientation, Storage
from gpunn.data.names import printable
from gpunn.errors import DataError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
MAXIMUM_PIXELS = 80_000_000

_EXIF_ORIENTATION = 0x0112
_INTERPOLATED = 2
"""Rows further down that have a say in a pixel's colour, where colours are stored at half the height."""
_NOWHERE = logging.NullHandler()
"""A logger without a handler writes its errors to the terminal, and does not say of which file."""


class PillowDecoder:
    """Reads and scales with Pillow.

    Whoever makes one silences Pillow's warnings in this process, and its log where nobody listens to it: what they
    tell of is either refused here, in words, or does not concern the pixels.

    Args:
        maximum_pixels: a larger picture is refused before memory is taken for it. Of a WebP, whose decoder holds the
            picture four times over, half as many are allowed. So one picture takes up to 10 bytes a pixel of this
            limit, 800 MB by default, while it is decoded.
    """

    name = "pillow"

    def __init__(self, maximum_pixels: int = MAXIMUM_PIXELS) -> None:
        warnings.filterwarnings("ignore", module=r"PIL\.")
        logging.getLogger("PIL").addHandler(_NOWHERE)
        self._maximum_pixels = maximum_pixels

    def __reduce__(self) -> tuple[type[PillowDecoder], tuple[int]]:
        # Made anew in a worker's process, it silences the warnings there, too.
        return PillowDecoder, (self._maximum_pixels,)

    def open(self, encoded: bytes) -> Picture:
        """The picture in an image file with these contents; its pixels are decoded when they are asked for.

        Raises:
            DataError: it is damaged, of another format, too large, or of a kind of pixel that has no defined meaning;
                of a plain JPEG, all that can be wrong is said when it is drawn.
        """
        frame = plain_frame_of(encoded)
        if frame is not None and frame.height * frame.width <= self._maximum_pixels:
            storage = Storage(frame.height, frame.width, Orientation(), reducible=True)
            return _jpeg(encoded, frame, storage, lambda: self.opened(encoded))
        picture = self.opened(encoded)
        frame = frame_of(encoded)
        if frame is not None and picture.format == "JPEG" and picture.direct:
            return _jpeg(encoded, frame, picture.storage, lambda: picture)
        return picture

    def opened(self, encoded: bytes) -> EncodedPicture:
        """The same, having looked for all that can be wrong before pixels are decoded.

        Raises:
            DataError: as `open`.
        """
        with _reasons():
            try:
                return EncodedPicture(encoded, self._opened(encoded))
            except ValueError:
                shorter = without_texts(encoded)
                if shorter is None:
                    raise
                return EncodedPicture(shorter, self._opened(shorter))

    def picture(self, pixels: npt.NDArray[np.uint8]) -> Picture:
        """Pixels, (H, W, 1 or 3), as a picture."""
        return DecodedPicture(Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))

    def _opened(self, encoded: bytes) -> ImageFile.ImageFile:
        try:
            image = Image.open(BytesIO(encoded), formats=FORMATS)
        except Image.DecompressionBombError as error:
            raise DataError(f"larger than the limit of {self._maximum_pixels} pixels; make it smaller") from error
        except UnidentifiedImageError as error:
            raise DataError(_unidentified(encoded)) from error
        limit = self._maximum_pixels // 2 if image.format == "WEBP" else self._maximum_pixels
        if image.width * image.height > limit:
            raise DataError(f"{image.height}x{image.width} is larger than the limit of {limit} pixels; make it smaller")
        return image


class EncodedPicture:
    """An image file that has been opened.

    Args:
        encoded: the file's contents.
        image: what Pillow made of them.

    Attributes:
        format: Pillow's name of the file's format.
        channels: 1 (gray) or 3 (RGB).
        direct: it is stored as gray or RGB, which nothing need be made of.
        storage: how the picture lies in the file.

    Raises:
        DataError: the kind of pixel has no defined meaning.
    """

    def __init__(self, encoded: bytes, image: ImageFile.ImageFile) -> None:
        if image.format in ("TIFF", "PNG"):
            # The orientation is known only now: Pillow turns TIFFs itself, and in a PNG it may follow the pixels.
            image.load()
        if image.format == "PNG":
            scale_transparency(image, encoded)
        self._encoded = encoded
        self._opened: ImageFile.ImageFile | None = image
        self._decoded: tuple[int, DecodedPicture] | None = None
        self.format = image.format
        self.channels = channels_of(image)
        self.direct = image.mode in ("L", "RGB")
        orientation = Orientation.by_tag(_orientation_tag(image))
        self.storage = Storage(image.height, image.width, orientation, image.format in ("JPEG", "MPO"))

    @property
    def size(self) -> tuple[int, int]:
        return self.storage.size

    def draw(self, out: npt.NDArray[np.uint8], box: Box) -> None:
        drawing = self.storage.drawing(out, box)
        self._at(drawing.reduction).draw(drawing.out, drawing.box)

    def pixels(self) -> npt.NDArray[np.uint8]:
        out = np.empty((*self.size, self.channels), np.uint8)
        self.draw(out, whole(self.size))
        return out

    def _at(self, reduction: int) -> DecodedPicture:
        """The picture so many times smaller. The last is kept: a picture may be drawn several times."""
        if self._decoded is None or self._decoded[0] != reduction:
            self._decoded = None
            with _reasons():
                self._decoded = (reduction, DecodedPicture(defined(self._loaded(reduction))))
        return self._decoded[1]

    def _loaded(self, reduction: int) -> Image.Image:
        image = self._opened or Image.open(BytesIO(self._encoded), formats=FORMATS)
        self._opened = None
        if self.storage.reducible:
            # One call of the decoder and one wait for the interpreter's lock, not one for every 64 KiB.
            image.decodermaxblock = len(self._encoded)
            if reduction > 1:
                image.draft(None, (image.width // reduction, image.height // reduction))
        image.load()
        return image


class DecodedPicture:
    """A picture in mode L or RGB."""

    def __init__(self, image: Image.Image) -> None:
        self._image = image

    @property
    def size(self) -> tuple[int, int]:
        return self._image.height, self._image.width

    @property
    def channels(self) -> int:
        return 1 if self._image.mode == "L" else 3

    def draw(self, out: npt.NDArray[np.uint8], box: Box) -> None:
        image = self._image
        height, width, channels = out.shape
        if channels == 1 and image.mode != "L":
            image = image.convert("L")
        if (height, width) != self.size or box != whole(self.size):
            # Rounding may leave an edge a hair outside the picture, which Pillow refuses.
            inside = (max(box[0], 0.0), max(box[1], 0.0), min(box[2], image.width), min(box[3], image.height))
            image = image.resize((width, height), Image.Resampling.BILINEAR, inside)
        _copy(image, out)

    def pixels(self) -> npt.NDArray[np.uint8]:
        out = np.empty((*self.size, self.channels), np.uint8)
        _copy(self._image, out)
        return out


def _jpeg(encoded: bytes, frame: Frame, storage: Storage, careful: Callable[[], Picture]) -> JpegPicture:
    mode = "L" if frame.components == 1 else "RGB"

    def decode(reduction: int, rows: int) -> DecodedPicture:
        contents, height = encoded, frame.height
        coded = -(-(rows + _INTERPOLATED) * reduction // frame.band) * frame.band
        # Nothing else would tell that there are no pixels for the rows that are left out.
        if frame.sequential and coded < height and has_end(encoded, frame):
            contents, height = shortened(encoded, frame, coded), coded
        # Without a value for its pixels, it is not filled before it is decoded into.
        image = Image.new(mode, (-(-frame.width // reduction), -(-height // reduction)), None)
        image.frombytes(contents, "jpeg", (mode, "", reduction, 0))
        return DecodedPicture(image)

    return JpegPicture(storage, frame.components, decode, careful)


def _copy(image: Image.Image, out: npt.NDArray[np.uint8]) -> None:
    """out = the pixels, by bands: as an array they are copied twice over."""
    for top, band in bands(image):
        out[top : top + band.height] = np.asarray(band).reshape(band.height, band.width, -1)


def _orientation_tag(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:
        # Pictures with unreadable EXIF data are common and their pixels are sound.
        return 1


def _unidentified(encoded: bytes) -> str:
    for name in FORMATS:
        _, accepts = Image.OPEN[name]
        if accepts is not None and accepts(encoded[:16].ljust(16, b"\0")) is True:
            return f"its header is damaged, or it is a kind of {name} that cannot be read; remove or replace it"
    return f"not an image of a known format ({', '.join(FORMATS)})"


@contextmanager
def _reasons() -> Iterator[None]:
    """Every way in which a decoder fails, as a DataError."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        # A damaged file makes decoders fail in ways listed nowhere: OSError, SyntaxError, struct.error, ...
        raise DataError(_reason(error)) from error


def _reason(error: Exception) -> str:
    match error:
        case Image.DecompressionBombError():
            return f"its parts are larger than any picture may be ({error})"
        case MemoryError():
            return "damaged: it asks for more memory than there is"
        case OSError():
            return f"truncated or damaged ({printable(str(error))}); remove or replace it"
        case _:
            return f"damaged ({type(error).__name__}: {printable(str(error))}); remove or replace it"
