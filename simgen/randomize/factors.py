"""The factors of randomization."""

from __future__ import annotations

FACTORS: dict[str, str] = {
    "textures": "which surfaces and objects get an image or a generated texture, its colours and scale",
    "materials": "colour, tint, roughness and metalness",
    "lighting": "lamps (number, kind, direction, distance, strength, colour, size), environment map, sky, sun",
    "poses": "where objects, surfaces and the robot are, and how the robot moves",
    "camera": "position, direction and roll, field of view, principal point",
    "background": "what is seen behind everything: the environment, a picture or a colour",
    "distractors": "which and how many unlabelled objects, and their size",
    "sensor": "exposure, white balance, noise, and all other effects of the colour sensor",
    "physics": "mass, friction, restitution",
    "content": "which and how many labelled objects, and their size",
}
"""Factor -> what it draws. ``randomize.FACTOR.enabled`` and ``.strength`` are its knob."""
