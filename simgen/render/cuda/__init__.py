"""The rasterizer on a CUDA device: the same tables and per-pixel functions as ``raster``, whole batches at once."""

from simgen.render.cuda.renderer import CudaRenderer, DeviceBuffers

__all__ = ["CudaRenderer", "DeviceBuffers"]
