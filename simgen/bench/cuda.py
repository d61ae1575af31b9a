"""What a CUDA device makes of batches: frames per second with the results left in its memory."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from simgen.bench.reference import reference_snapshots
from simgen.render import create
from simgen.render.cuda import CudaRenderer

BATCHES = (16, 64, 256)
_FEWEST = 3


def device_batches(width: int, height: int, device: str, seconds: float) -> list[dict[str, Any]]:
    """Medians over batches of the reference scene, four views of each arrangement, one process: labels alone, and
    labels with colour.

    The time of a batch goes from the snapshots to arrays that are complete on the device. What the host does for it
    (``host_ms_per_frame``, to the last launch) is a part of it.
    """
    renderer = create("raster", device)
    if not isinstance(renderer, CudaRenderer):
        return []
    labels = sorted(renderer.passes - {"rgb"})
    rows = []
    try:
        for batch in BATCHES:
            snapshots = reference_snapshots(width, height, scenes=batch // 4)
            for passes in (labels, [*labels, "rgb"]):
                renderer.render_on_device(snapshots, passes)
                renderer.synchronize()
                whole: list[float] = []
                host: list[float] = []
                end = time.perf_counter() + seconds
                while time.perf_counter() < end or len(whole) < _FEWEST:
                    start = time.perf_counter()
                    images = renderer.render_on_device(snapshots, passes)
                    host.append(time.perf_counter() - start)
                    renderer.synchronize()
                    whole.append(time.perf_counter() - start)
                    del images
                rows.append(
                    {
                        "scene": "reference",
                        "device": f"{renderer.device} ({renderer.device_name})",
                        "size": f"{width}x{height}",
                        "passes": passes,
                        "batch": batch,
                        "frames_per_second": round(batch / median(whole), 1),
                        "median_ms_per_frame": round(1000 * median(whole) / batch, 3),
                        "host_ms_per_frame": round(1000 * median(host) / batch, 3),
                    }
                )
    finally:
        renderer.close()
    return rows
