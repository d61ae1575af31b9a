"""The CUDA target against the CPU, in Numba's CUDA simulator; and that its kernels compile for a device."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cuda_scenes import HEIGHT, LABELS, SHADOW_SIZE, WIDTH, snapshots
from raster_scenes import image_mask

import simgen.render
from simgen import doctor
from simgen.errors import RenderError
from simgen.render import create, default_device
from simgen.render.raster import RasterRenderer

HERE = Path(__file__).parent
SEEN = {"things": 0, "crossing": 1, "degenerate": 2, "nothing": 3}


def run_python(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-W", "ignore", *arguments], env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> dict[str, np.ndarray]:
    """Everything that ``cuda_scenes`` computes in the simulator."""
    pytest.importorskip("numba.cuda", reason="neither this Numba nor numba-cuda brings a CUDA simulator")
    path = tmp_path_factory.mktemp("cuda") / "simulated.npz"
    done = run_python([str(HERE / "cuda_scenes.py"), str(path)], NUMBA_ENABLE_CUDASIM="1")
    assert done.returncode == 0, done.stderr[-4000:]
    with np.load(path) as file:
        return dict(file)


@pytest.fixture(scope="module")
def facts(simulated) -> dict:
    return json.loads(str(simulated["facts"]))


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    return RasterRenderer(shadow_size=SHADOW_SIZE).render(snapshots(), [*LABELS, "rgb"]).images


def check_colour(rgb: np.ndarray, expected: np.ndarray) -> None:
    """With shadow maps, which the CPU interpolates where two neighbours agree."""
    difference = np.abs(rgb - expected).max(-1) / (0.05 + expected.max(-1))
    assert difference.mean() < 5e-4
    assert (difference < 0.01).mean() > 0.985
    assert difference.max() < 0.2


def test_labels_are_those_of_the_cpu(simulated, expected):
    for name in LABELS:
        np.testing.assert_array_equal(simulated[f"batch/{name}"], expected[name])
    # The scenes show what they are for.
    assert set(np.unique(expected["instance"][0])) == {0, 1, 2, 4}
    assert np.abs(expected["flow_forward"][0]).max() > 0.2
    assert np.abs(expected["flow_backward"][0]).max() > 0.2
    assert not simulated["batch/flow_forward"][1:].any()
    cut = expected["depth"][1] > 0
    assert 0.2 < cut.mean() < 0.95
    assert not simulated["batch/instance"][3].any()


def test_triangles_that_are_not_finite_or_have_no_area_do_no_harm(simulated, expected):
    assert (simulated["batch/instance"][SEEN["degenerate"]] == 1).mean() > 0.2
    assert all(np.isfinite(simulated[f"batch/{name}"]).all() for name in [*LABELS, "rgb"])


def test_colour_without_shadow_maps_agrees_with_the_cpu(simulated):
    flat = RasterRenderer(shadow_size=0).render(snapshots(), ["rgb"]).images["rgb"]
    difference = np.abs(simulated["flat/rgb"] - flat).max(-1) / (0.05 + flat.max(-1))
    # Rounding; and single pixels where it decides between two mip levels.
    assert difference.mean() < 2e-5
    assert (difference < 1e-3).mean() > 0.998
    assert flat[0].std() > 0.05


def test_colour_with_shadow_maps_agrees_with_the_cpu(simulated, expected):
    check_colour(simulated["batch/rgb"], expected["rgb"])
    # Shadows are there to be seen.
    lost = simulated["flat/rgb"][0].mean(-1) - simulated["batch/rgb"][0].mean(-1)
    assert lost.max() > 0.05


def test_shadow_maps_are_fitted_to_every_nth_surface_point(simulated):
    counts, chosen = simulated["receivers/counts"], simulated["receivers/chosen"]
    assert counts[1] == 0
    for image in (0, 2):
        keys = simulated["receivers/keys"][image, 0]
        seen = np.flatnonzero(keys & np.uint64(0xFFFFFFFF))
        wanted = seen[:: -(-len(seen) // 8)]
        assert 4 <= len(wanted) == counts[image] <= 8
        np.testing.assert_array_equal(chosen[image, : len(wanted)], wanted)
        w = (keys[wanted] >> np.uint64(32)).astype(np.uint32).view(np.float32)
        np.testing.assert_array_equal(simulated["receivers/depths"][image, : len(wanted)], w)


def test_images_do_not_depend_on_their_batch_nor_on_what_is_resident(simulated):
    for name in ("depth", "rgb"):
        np.testing.assert_array_equal(simulated[f"narrow/{name}"], simulated[f"batch/{name}"][1::-1])
        np.testing.assert_array_equal(simulated[f"alone/{name}"], simulated[f"batch/{name}"][-1:])


def test_tiles_that_do_not_fit_their_list_are_drawn_all_the_same(simulated):
    for name in ("depth", "instance"):
        np.testing.assert_array_equal(simulated[f"overflow/{name}"], simulated[f"batch/{name}"])
    for name in ("depth", "rgb"):
        np.testing.assert_array_equal(simulated[f"large/{name}"], simulated[f"batch/{name}"][:1])


def test_full_silhouettes_agree_with_the_cpu(simulated):
    renderer = RasterRenderer()
    wanted = [s for snap in snapshots()[:2] for s in renderer.silhouettes(snap)]
    assert [s.instance_id for s in wanted] == [1, 2, 3, 4, 1]
    for k, silhouette in enumerate(wanted):
        np.testing.assert_array_equal(simulated[f"full/{k}/mask"], image_mask(silhouette, WIDTH, HEIGHT))
        wanted_facts = [silhouette.instance_id, silhouette.px_full, *silhouette.bbox_full]
        np.testing.assert_array_equal(simulated[f"full/{k}/facts"], wanted_facts)


def test_mistakes_are_refused_in_one_sentence(facts):
    absent, unknown, samples, name = facts["refused"]
    assert "cuda:5 does not exist" in absent
    assert "'gpu' is not known" in unknown
    assert "samples=17" in samples
    assert 'did you mean "depth"' in name
    assert facts["empty"] == [0, 0, 0]


def test_batches_are_parted_where_more_must_be_resident_than_may(facts):
    assert facts["parts"] == {"1": [1, 1, 1, 1], str(1 << 30): [4]}


def test_whatever_uses_the_device_makes_it_current(facts):
    # Other threads, renderers and libraries may have made another one current.
    assert facts["current"] == dict.fromkeys(("render_on_device", "to_host", "silhouettes", "synchronize", "close"), 1)


def test_closing_frees_what_is_held(facts):
    held, left = facts["held"]
    assert held > 1 << 20
    assert left < 4096


@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is not None, reason="numba-cuda is installed")
def test_without_numba_cuda_the_cpu_is_taken_and_cuda_refused():
    assert default_device() == "cpu"
    assert create("auto").device == "cpu"
    with pytest.raises(RenderError, match="numba-cuda is not installed"):
        create("raster", "cuda:0")


def test_auto_tells_why_it_takes_the_cpu(monkeypatch, caplog):
    device = pytest.importorskip("simgen.render.cuda.device")
    monkeypatch.setattr(simgen.render, "importlib", SimpleNamespace(util=SimpleNamespace(find_spec=lambda name: name)))
    monkeypatch.setattr(device, "SIMULATED", False)
    monkeypatch.setattr(device, "missing", lambda number=0: "the driver is from yesterday")
    monkeypatch.setattr(device, "_count", lambda: 0)
    simgen.render._warn.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert [create("auto").device for _ in range(2)] == ["cpu", "cpu"]
    assert caplog.messages == ["renderer.device=auto takes the CPU: the driver is from yesterday"]
    with pytest.raises(RenderError, match="cuda:1 cannot be used: the driver is from yesterday; use"):
        create("raster", "cuda:1")


def test_a_numba_cuda_that_cannot_be_loaded_leaves_the_cpu(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "simgen.render.cuda.device", None)
    installed = SimpleNamespace(util=SimpleNamespace(find_spec=lambda name: name))
    monkeypatch.setattr(simgen.render, "importlib", installed)
    monkeypatch.setattr(doctor, "importlib", installed)
    simgen.render._warn.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert default_device() == "cpu"
    assert "auto takes the CPU: numba-cuda cannot be loaded" in caplog.text
    finding = doctor._cuda()
    assert finding.ok is None
    assert "numba-cuda cannot be loaded" in finding.what


class Gpu:
    """Stands for a device of ``numba.cuda.gpus``; ``error`` is raised when it is made current."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.current = error, 0

    def __enter__(self) -> None:
        if self.error:
            raise self.error
        self.current += 1

    def __exit__(self, *_) -> None:
        self.current -= 1


def test_a_device_is_tried_before_it_is_taken(monkeypatch):
    device = pytest.importorskip("simgen.render.cuda.device")
    gpu, tried = Gpu(RuntimeError("CUDA_ERROR_UNSUPPORTED_PTX_VERSION.\nThe driver is too old\n")), []

    class Numbers(list):
        copy_to_host = list.copy

    class Touch:
        result = 0

        def __getitem__(self, shape):
            def run(out):
                assert gpu.current == 1
                tried.append(shape)
                out[0] = self.result

            return run

    fake = SimpleNamespace(is_available=lambda: True, gpus=[None, gpu], device_array=lambda n, _: Numbers([7] * n))
    touch = Touch()
    for name, value in (("cuda", fake), ("_touch", touch), ("SIMULATED", False), ("_INSTALLED", True)):
        monkeypatch.setattr(device, name, value)
    monkeypatch.setattr(device, "_working", set())
    reason = "the CUDA driver or device does not work (RuntimeError: CUDA_ERROR_UNSUPPORTED_PTX_VERSION)"
    assert device.missing(1) == reason
    gpu.error = None
    assert "without result" in device.missing(1)
    touch.result = 1
    # Once in a process.
    assert [device.missing(1), device.missing(1)] == [None, None]
    assert len(tried) == 2
    assert gpu.current == 0


def test_what_the_driver_reports_is_told_in_one_sentence(monkeypatch):
    device = pytest.importorskip("simgen.render.cuda.device")
    gpu = Gpu()
    monkeypatch.setattr(device, "cuda", SimpleNamespace(gpus={7: gpu}))
    monkeypatch.setattr(device, "_DRIVER_ERRORS", (BufferError,))
    for said, told in (
        ("[2] Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY", "the memory of renderer.device=cuda:7 is full;"),
        ("[700] CUDA_ERROR_ILLEGAL_ADDRESS", r"cuda:7 failed \(BufferError: \[700\] CUDA_ERROR_ILLEGAL_ADDRESS\)"),
        ("CUDA initialized before forking", "start processes by spawn or forkserver"),
    ):
        with pytest.raises(RenderError, match=told), device.current(7):
            raise BufferError(said)
    assert gpu.current == 0


def test_an_edge_too_steep_for_its_slope_covers_nothing():
    visibility = pytest.importorskip("simgen.render.cuda.visibility")
    view = np.array([0, 0, 24, 16, 0])
    # Corners nearly at the same height: the slope of the long edge is infinite, and its place in row 0 no number.
    piece = np.array([5.0, 0.0, 9.0, 1e-320, 12.0, 1e-320, np.inf, np.inf, 0.0])
    with np.errstate(invalid="ignore"):
        begin, end = visibility.covered_columns.py_func(piece, 0.0, 0.0, 0, view)
    assert begin >= end


@pytest.fixture(scope="module")
def compiled(facts) -> dict[str, dict]:
    """What the PTX of each kernel holds."""
    if importlib.util.find_spec("numba_cuda") is None:
        pytest.skip("numba-cuda is not installed")
    done = run_python([str(HERE / "cuda_compile.py"), json.dumps(facts["signatures"])], NUMBA_ENABLE_CUDASIM="0")
    if done.returncode == 77:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    return json.loads(done.stdout)


def test_kernels_compile_for_a_device(facts, compiled):
    assert len(compiled) == len(facts["signatures"]) >= 15
    assert not [name for name, found in compiled.items() if found["calls"]]


def test_geometry_is_compiled_without_fused_multiply_adds(compiled):
    exact = {f"visibility.{name}" for name in ("place", "empty", "draw_faces", "draw_tiles")}
    exact |= {"surface.set_up", "labels.resolve", "shadow.draw_casters", "shadow.draw_caster_tiles"}
    assert exact <= compiled.keys()
    assert not [name for name in exact if compiled[name]["fused"]]
    # Colour may be: the option is that of single kernels.
    assert compiled["color.shade"]["fused"] > 100


def test_colour_is_computed_in_single_precision(compiled):
    for name, found in compiled.items():
        if name.startswith(("shadow.", "color.", "occlusion.")):
            # Those of shading are what the camera, in double precision, is divided by.
            assert found["doubles"] <= (8 if name == "color.shade" else 2), name


def test_a_device_agrees_with_the_cpu(expected):
    if default_device() == "cpu":
        pytest.skip("there is no CUDA device here, or numba-cuda is not installed")
    from simgen.render.cuda import CudaRenderer

    renderer = CudaRenderer(default_device(), shadow_size=SHADOW_SIZE)
    buffers = renderer.render_on_device(snapshots(), [*LABELS, "rgb"])
    images = buffers.to_host().images
    for name in LABELS:
        np.testing.assert_array_equal(images[name], expected[name])
    check_colour(images["rgb"], expected["rgb"])
    again = renderer.render(snapshots(), [*LABELS, "rgb"]).images
    for name, image in images.items():
        np.testing.assert_array_equal(again[name], image)
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        np.testing.assert_array_equal(buffers.tensors()["depth"].cpu().numpy(), images["depth"])
