"""Parameters of lidars after their makers' manuals."""

from __future__ import annotations

from math import radians
from types import MappingProxyType

from simgen.scene.trace_record import ClockRecord, LidarRecord

PRESETS: MappingProxyType[str, LidarRecord] = MappingProxyType(
    {
        "velodyne_vlp16": LidarRecord(
            pattern="spinning",
            elevations=tuple(radians(e) for e in range(-15, 16, 2)),
            columns=1800,
            duration=0.1,
            clock=ClockRecord(rate=10.0),
            min_range=0.4,
            max_range=100.0,
            range_noise=0.015,
            range_step=0.002,
            detection_range=250.0,
            intensity_noise=0.05,
        ),
        "livox_mid40": LidarRecord(
            pattern="rosette",
            columns=10000,
            elevation=(0.0, radians(19.2)),
            prism_turns=(12.157, -7.773),
            duration=0.1,
            clock=ClockRecord(rate=10.0),
            min_range=0.5,
            max_range=260.0,
            range_noise=0.02,
            angle_noise=radians(0.05),
            detection_range=290.0,
            intensity_noise=0.05,
        ),
    }
)
"""VLP-16 user manual (Velodyne 63-9243): channels, 0.2 degrees a firing at 10 Hz, 3 cm accuracy, 2 mm steps. Livox
Mid-40 user manual: cone of 38.4 degrees, 100,000 points/s, 2 cm and 0.05 degrees; prisms at 7294 and -4664 rpm (Brazeal
et al., Sensors 21(14), 2021). Detection ranges follow from the manuals' ranges at 10 % or 80 % reflectance."""
