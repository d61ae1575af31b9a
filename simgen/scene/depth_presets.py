"""Parameters of depth cameras after published models."""

from __future__ import annotations

from types import MappingProxyType

from simgen.scene.record import DepthSensorRecord

PRESETS: MappingProxyType[str, DepthSensorRecord] = MappingProxyType(
    {
        "kinect_v1_khoshelham_2012": DepthSensorRecord(
            kind="structured_light",
            min_range=0.5,
            max_range=5.0,
            baseline=0.075,
            focal=585.0,
            disparity_sigma=0.051,
            disparity_step=0.125,
            lateral=(0.5, 0.0),
            edge_dropout=0.5,
            min_signal=0.004,
            grazing_start=1.25,
            grazing_end=1.5,
            dropout_size=2.0,
        ),
        "kinect_v1_nguyen_2012": DepthSensorRecord(
            kind="structured_light",
            min_range=0.4,
            max_range=5.0,
            baseline=0.075,
            focal=585.0,
            axial=(0.0012, 0.0, 0.0019, 0.4),
            axial_angle=(0.0001, -0.5),
            axial_angle_start=1.0471975511965976,
            lateral=(0.8, 0.035),
            edge_dropout=0.5,
            min_signal=0.004,
            grazing_start=1.25,
            grazing_end=1.5,
            dropout_size=2.0,
        ),
        "realsense_d435": DepthSensorRecord(
            kind="active_stereo",
            min_range=0.17,
            max_range=10.0,
            baseline=0.05,
            focal=424.0,
            disparity_sigma=0.08,
            disparity_step=1 / 32,
            lateral=(0.5, 0.0),
            correlation=4.0,
            edge_dropout=0.3,
            min_signal=0.001,
            grazing_start=1.3,
            grazing_end=1.53,
            dropout=0.002,
            dropout_size=4.0,
        ),
        "kinect_v2_fankhauser_2015": DepthSensorRecord(
            kind="time_of_flight",
            min_range=0.5,
            max_range=4.5,
            axial=(0.0015, -0.0005, 0.0003, 0.0),
            axial_angle=(0.0001, 1.5),
            lateral_metres=0.0016,
            range_step=0.001,
            flying_pixels=0.4,
            min_signal=0.004,
            grazing_start=1.4,
            grazing_end=1.55,
            dropout_size=2.0,
        ),
        "azure_kinect_nfov": DepthSensorRecord(
            kind="time_of_flight",
            min_range=0.5,
            max_range=3.86,
            axial=(0.001, 0.0, 0.00107, 0.0),
            lateral=(0.4, 0.0),
            range_step=0.001,
            flying_pixels=0.3,
            edge_dropout=0.3,
            min_signal=0.006,
            grazing_start=1.35,
            grazing_end=1.55,
            dropout_size=2.0,
        ),
    }
)
"""Parameters of real sensors; what is published is in SOURCES, the rest (edges, drop-out) is a plausible choice."""

SOURCES: MappingProxyType[str, str] = MappingProxyType(
    {
        "kinect_v1_khoshelham_2012": "Khoshelham and Elberink, Sensors 12(2), 2012: sigma = 1.425e-3 z^2 m, baseline "
        "7.5 cm, disparity in eighths of a pixel; noise and quantization together have that sigma",
        "kinect_v1_nguyen_2012": "Nguyen, Izadi and Lovell, 3DIMPVT 2012: sigma = 0.0012 + 0.0019 (z - 0.4)^2 m, plus "
        "0.0001 / sqrt(z) (theta / (pi/2 - theta))^2 beyond 60 degrees; lateral 0.8 + 0.035 theta / (pi/2 - theta) px",
        "realsense_d435": "Intel, Best-Known-Methods for Tuning RealSense D400 Depth Cameras: RMS error = z^2 subpixel "
        "/ (focal baseline) with subpixel 0.08 at 848 x 480 and 90 degrees; disparity in 1/32 pixel",
        "kinect_v2_fankhauser_2015": "Fankhauser et al., ICAR 2015: sigma = 1.5 - 0.5 z + 0.3 z^2 + 0.1 z^1.5 (theta / "
        "(pi/2 - theta))^2 mm, lateral 1.6 mm (indoors)",
        "azure_kinect_nfov": "Microsoft, Azure Kinect DK hardware specification, confirmed by Tolgyessy et al., "
        "Sensors 21(2), 2021: standard deviation at most 17 mm up to 3.86 m; a curve up to that bound, not a fit",
    }
)
"""Where the figures of each preset come from."""
