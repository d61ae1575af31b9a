"""Blender's Cycles by bpy: python blender_cycles.py FOLDER. 16 samples a pixel, denoised, on the CPU."""

from __future__ import annotations

import sys

import bpy
import numpy as np
from stage import Stage, tell

SAMPLES = 16


def main(folder: str) -> None:
    """Draw the stage in ``folder`` and tell how long it took."""
    stage = Stage(folder)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = SAMPLES
    scene.cycles.use_denoising = True
    scene.render.use_persistent_data = True
    scene.render.resolution_x, scene.render.resolution_y = stage.width, stage.height
    scene.render.image_settings.file_format = "PNG"
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_normal = layer.use_pass_object_index = True
    for k, thing in enumerate(stage.things):
        add(stage, thing, k)
    for lamp in stage.lamps:
        light = bpy.data.lights.new("lamp", "SUN")
        light.energy = lamp["irradiance"]
        sun = bpy.data.objects.new("lamp", light)
        sun.rotation_mode = "QUATERNION"
        sun.rotation_quaternion = turned_to(lamp["direction"])
        scene.collection.objects.link(sun)
    world = bpy.data.worlds.new("world")
    world.color = (0.4, 0.42, 0.45)
    scene.world = world
    lens = bpy.data.cameras.new("camera")
    lens.sensor_width, lens.sensor_fit = 36.0, "HORIZONTAL"
    lens.lens = 36.0 * stage.K[0, 0] / stage.width
    camera = bpy.data.objects.new("camera", lens)
    scene.collection.objects.link(camera)
    scene.camera = camera
    out = stage.folder / "blender.png"
    scene.render.filepath = str(out)

    def draw(T_world_cam: np.ndarray) -> np.ndarray:
        from mathutils import Matrix

        camera.matrix_world = Matrix((T_world_cam * [1, -1, -1, 1]).tolist())
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(str(out), check_existing=False)
        pixels = np.array(image.pixels[:], np.float32).reshape(stage.height, stage.width, 4)[::-1, :, :3]
        bpy.data.images.remove(image)
        return (255 * np.clip(pixels, 0, 1)).astype(np.uint8)

    gives = f"colour (path traced, {SAMPLES} samples, denoised), depth, normals, ids"
    tell("blender-cycles", bpy.app.version_string, gives, stage, draw)


def add(stage: Stage, thing: dict, number: int) -> None:
    """A mesh with its texture."""
    from mathutils import Matrix

    arrays = stage.mesh(thing)
    mesh = bpy.data.meshes.new(f"thing{number}")
    mesh.from_pydata(arrays["vertices"].tolist(), [], arrays["faces"].tolist())
    layer = mesh.uv_layers.new()
    layer.data.foreach_set("uv", arrays["uv"][arrays["faces"].ravel()].astype(np.float32).ravel())
    mesh.shade_smooth()
    material = bpy.data.materials.new(f"thing{number}")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    picture = nodes.new("ShaderNodeTexImage")
    picture.image = bpy.data.images.load(str(stage.folder / thing["texture"]), check_existing=True)
    shader = nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = thing["roughness"]
    links.new(picture.outputs["Color"], shader.inputs["Base Color"])
    mesh.materials.append(material)
    made = bpy.data.objects.new(f"thing{number}", mesh)
    made.matrix_world = Matrix(thing["T_world_obj"])
    made.pass_index = number
    bpy.context.scene.collection.objects.link(made)


def turned_to(direction: list[float]) -> tuple[float, ...]:
    """The quaternion (w, x, y, z) that turns -z, along which a lamp shines, to ``direction``."""
    from mathutils import Vector

    return tuple(Vector((0, 0, -1)).rotation_difference(Vector(direction)))


main(sys.argv[1])
