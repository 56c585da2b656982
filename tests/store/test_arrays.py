from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tickets.store.arrays import (
    arm_key,
    decode,
    decode_shapes,
    encode,
    expand,
    pack,
    parse_arm_key,
    squeeze,
    unpack,
)

masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=7))


def test_a_mask_is_packed_lowest_bit_first_with_zeros_at_the_end():
    mask = np.array([[1, 0, 0, 0, 0], [0, 0, 1, 1, 1]], dtype=np.bool_)
    assert pack(mask).tobytes() == bytes([0b10000001, 0b00000011])
    np.testing.assert_array_equal(unpack(pack(mask), (2, 5)), mask)


@given(masks)
def test_unpack_undoes_pack(mask):
    packed = pack(mask)
    assert packed.dtype == np.uint8
    assert packed.shape == ((mask.size + 7) // 8,)
    assert unpack(packed, mask.shape).dtype == np.bool_
    np.testing.assert_array_equal(unpack(packed, mask.shape), mask)


@given(masks, st.integers(0, 2**32 - 1))
def test_expand_undoes_squeeze_where_the_mask_is_true_and_is_zero_elsewhere(mask, seed):
    values = np.random.default_rng(seed).normal(size=mask.shape).astype(np.float32)
    survivors = squeeze(values, mask)
    assert survivors.tolist() == [v for v, m in zip(values.ravel().tolist(), mask.ravel().tolist(), strict=True) if m]
    whole = expand(survivors, mask)
    assert whole.dtype == np.float32
    assert whole[mask].tobytes() == values[mask].tobytes()
    assert not whole[~mask].view(np.uint32).any()  # +0.0, not -0.0


def test_squeeze_keeps_the_bits_of_nan_and_minus_zero():
    values = np.array([np.nan, -0.0, 1.0], dtype=np.float32)
    values.view(np.uint32)[0] = 0x7FC01234
    mask = np.array([True, True, False])
    assert expand(squeeze(values, mask), mask).tobytes() == values[:2].tobytes() + bytes(4)


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (np.zeros(1, np.uint8), "is 2 bytes, not uint8 of"),
        (np.zeros(3, np.uint8), "is 2 bytes, not uint8 of"),
        (np.zeros(2, np.int64), "is 2 bytes, not int64 of"),
        (np.array([0, 4], np.uint8), "bits set past its 10 entries"),
    ],
)
def test_unpack_refuses_what_no_mask_of_this_shape_is_packed_to(packed, message):
    with pytest.raises(ValueError, match=message):
        unpack(packed, (2, 5))


def test_other_shapes_and_types_are_refused():
    with pytest.raises(TypeError, match="a mask is bool, not float64"):
        pack(np.ones(3))
    with pytest.raises(ValueError, match="do not fit a mask of shape"):
        squeeze(np.ones((2, 3)), np.ones((3, 2), np.bool_))
    with pytest.raises(ValueError, match=r"\(2,\) surviving values do not fit a mask in which 3 survive"):
        expand(np.ones(2), np.ones(3, np.bool_))


def test_arm_keys():
    assert arm_key("reinit", 0, False) == "reinit"
    assert arm_key("reinit", 0, True) == "reinit.draw0"
    assert arm_key("reinit", 2, True) == "reinit.draw2"
    assert arm_key("reinit", 2, False) == "reinit.draw2"  # without a suffix it would read as draw 0
    assert [parse_arm_key(key) for key in ("reinit", "reinit.draw0", "reinit.draw12")] == [
        ("reinit", 0),
        ("reinit", 0),
        ("reinit", 12),
    ]


def test_a_safetensors_file_by_hand():
    data = encode({"0/ticket/w": np.array([1.5, -2.0], np.float32)}, {"w": (2, 2), "a": (3,)})
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert json.loads(header["__metadata__"]["shapes"]) == {"w": [2, 2], "a": [3]}
    assert header["0/ticket/w"] == {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    assert data[8 + length :] == np.array([1.5, -2.0], "<f4").tobytes()
    assert list(decode_shapes(data)) == ["w", "a"]  # the model's order, not the alphabet's


def test_arrays_of_every_kind_come_back_as_they_were():
    arrays = {
        "empty": np.zeros(0, np.float32),
        "scalar": np.array(7, np.int64),
        "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "double": np.array([1e-300]),
        "bytes": np.array([1, 255], np.uint8),
    }
    back = decode(encode(arrays, {}))
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        assert back[name].shape == array.shape
        np.testing.assert_array_equal(back[name], array)
        back[name][...] = 0  # writable: it aliases nothing


@pytest.mark.parametrize("data", [b"", b"12345678", b"\x02" + bytes(7) + b"{]"])
def test_what_is_no_safetensors_file_is_said_to_be_none(data):
    with pytest.raises(ValueError, match="not a safetensors file"):
        decode(data)
    with pytest.raises(ValueError, match="not a safetensors file"):
        decode_shapes(data)
