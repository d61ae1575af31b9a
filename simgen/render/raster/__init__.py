"""Our own renderer: a compute rasterizer and physically based shader."""

from simgen.render.raster.renderer import RasterRenderer, warm_up

__all__ = ["RasterRenderer", "warm_up"]
