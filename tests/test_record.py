import dataclasses
import math

import msgspec
import pytest
from fake_library import FakeLibrary
from hypothesis import given
from hypothesis import strategies as st

from simgen import config
from simgen.randomize.sample import sample
from simgen.scene.record import BodyRecord, LightRecord, Pose, SceneRecord, from_json, to_json


@pytest.mark.parametrize("scene", ["shapes", "tabletop"])
def test_a_sampled_record_survives_json_bit_for_bit(scene):
    record = sample(config.load(scene), FakeLibrary(), seed=3, scene=1)
    text = to_json(record)
    again = from_json(text)
    assert again == record
    assert to_json(again) == text


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3))
def test_floats_keep_every_bit(values):
    record = dataclasses.replace(_empty(), lights=(LightRecord("point", position=tuple(values)),))
    again = from_json(to_json(record)).lights[0].position
    assert [v.hex() for v in again] == [v.hex() for v in values]
    assert [math.copysign(1, v) for v in again] == [math.copysign(1, v) for v in values]


def test_defaults_survive():
    record = dataclasses.replace(_empty(), bodies=(BodyRecord("a", "primitive/box", "object", "g", Pose()),))
    assert from_json(to_json(record)) == record


@pytest.mark.parametrize("text", ["{}", "[]", "nonsense", '{"definition": 3}'])
def test_what_is_no_record_is_refused(text):
    with pytest.raises(msgspec.DecodeError):
        from_json(text)


def _empty() -> SceneRecord:
    record = sample(config.from_plain({"scene": {"name": "empty", "cameras": {"c": {}}}}), FakeLibrary(), 0, 0)
    return dataclasses.replace(record, lights=(), bodies=())
