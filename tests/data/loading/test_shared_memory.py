from __future__ import annotations

import os
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from gpunn.data.loading.shared_memory import MemoryFile, mapped, packed, unpacked
from tests.data.loading.datasets import Files

ARRAYS = [
    np.arange(12, dtype=np.int32).reshape(3, 4),
    np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.arange(12)[::2],
    np.zeros((0, 3)),
    np.zeros((), np.uint8),
    np.random.default_rng(0).integers(0, 256, 100_001, dtype=np.uint8),
    np.array(["a", "bc"]),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}-{array.shape}")
def test_arrays_come_out_as_they_went_in(array: npt.NDArray[Any]) -> None:
    file = packed({"it": array, "again": [array, (array, b"bytes", "text")]})
    value = unpacked(file.descriptor)
    file.close()
    for found in (value["it"], value["again"][0], value["again"][1][0]):
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype
    assert value["again"][1][1:] == (b"bytes", "text")


def test_arrays_are_shared_and_cannot_be_written() -> None:
    array = np.arange(1000, dtype=np.uint16)
    file = packed([array, array[:10]])
    one, other = unpacked(file.descriptor), unpacked(file.descriptor)
    bytes_of_file = mapped(file.descriptor)
    place = bytes_of_file.tobytes().index(array.tobytes())
    bytes_of_file[place] = 77
    assert one[0][0] == other[0][0] == 77
    with pytest.raises(ValueError, match="read-only"):
        one[0][0] = 1


def test_the_bytes_outlive_the_descriptor() -> None:
    file = MemoryFile(10)
    memory = mapped(file.descriptor)
    file.close()
    file.close()
    memory[3] = 5
    assert memory.tolist() == [0, 0, 0, 5, 0, 0, 0, 0, 0, 0]


def test_a_file_that_is_dropped_is_closed() -> None:
    file = MemoryFile(10)
    descriptor = file.descriptor
    assert os.fstat(descriptor).st_size == 10
    del file
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_what_is_defined_in_the_program_that_was_started_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Local:
        pass

    def function() -> None:
        pass

    for value in (Local, Local(), function):
        for owner in (Local, function):
            monkeypatch.setattr(owner, "__module__", "__main__")
        with pytest.raises(pickle.PicklingError, match="is defined in the program that was started"):
            packed([value])


def test_a_data_set_of_a_module_is_not(tmp_path: Any) -> None:
    file = packed(Files(5, tmp_path))
    assert len(unpacked(file.descriptor)) == 5
