"""Our own renderer: a compute rasterizer and physically based shader."""

from simgen.render.raster.renderer import RasterRenderer

__all__ = ["RasterRenderer"]
