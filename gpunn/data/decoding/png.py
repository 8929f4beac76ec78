"""What Pillow leaves to be desired of PNG files (PNG specification, third edition)."""

from __future__ import annotations

from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"iCCP", b"tEXt", b"zTXt", b"iTXt")


def without_texts(encoded: bytes) -> bytes | None:
    """The PNG without texts and colour profile: Pillow refuses a picture when these are large.

    None where there is nothing to leave out, or it is no PNG.
    """
    if not encoded.startswith(_SIGNATURE):
        return None
    kept = [_SIGNATURE]
    position = len(_SIGNATURE)
    while position < len(encoded):
        # Length of the content, kind, content, checksum (section 5.3).
        end = position + 12 + int.from_bytes(encoded[position : position + 4], "big")
        if encoded[position + 4 : position + 8] not in _TEXTS:
            kept.append(encoded[position:end])
        position = end
    return b"".join(kept) if sum(map(len, kept)) < len(encoded) else None


def scale_transparency(image: Image.Image, encoded: bytes) -> None:
    """Brings the colour that a PNG declares transparent from the depth of its samples to that of Pillow's.

    Samples of 2 and 4 bits are spread to eight. Of colours with 16 bits a sample only the upper eight are left to
    compare, so all that agree in these are transparent, more than the specification has it (tRNS).
    """
    # The ninth byte of the first chunk's content (IHDR).
    depth = encoded[24]
    colour = image.info.get("transparency")
    if image.mode == "L" and isinstance(colour, int) and colour < 1 << depth < 256:
        image.info["transparency"] = colour * 255 // ((1 << depth) - 1)
    if image.mode == "RGB" and isinstance(colour, tuple) and depth == 16:
        image.info["transparency"] = tuple(sample >> 8 for sample in colour)
