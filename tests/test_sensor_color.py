"""The effects of the colour sensor, each against a closed form or an independent implementation."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from simgen.errors import ConfigError, RenderError
from simgen.scene.record import SensorRecord
from simgen.sensors import pointwise
from simgen.sensors.color import sense
from simgen.sensors.develop import develop, encode_curve, jpeg
from simgen.sensors.optics import downsample, lens_planes
from simgen.sensors.raw import read_out
from simgen.sensors.whitebalance import balance_gains, light_rgb, planckian_uv

ONES = np.ones(3, np.float32)


def scene(height: int = 96, width: int = 128, seed: int = 0) -> np.ndarray:
    """A smooth random picture with a few edges."""
    rng = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(rng.random((height, width, 3)), (3, 3, 0))
    image = (image - image.min()) / np.ptp(image)
    image[height // 3 : height // 2, width // 4 : width // 2] = (0.9, 0.1, 0.3)
    return image.astype(np.float32)


def flat(value: float, height: int = 96, width: int = 128) -> np.ndarray:
    return np.full((height, width, 3), value, np.float32)


def light(image: np.ndarray, **fields: object) -> np.ndarray:
    return np.moveaxis(lens_planes(image, ONES, SensorRecord(**fields)), 0, 2)  # type: ignore[arg-type]


def raw(image: np.ndarray, **fields: object) -> np.ndarray:
    planes = np.ascontiguousarray(np.moveaxis(image, 2, 0))
    return np.moveaxis(read_out(planes, SensorRecord(**fields)), 0, 2)  # type: ignore[arg-type]


# Neutral and robust


@pytest.mark.parametrize(
    "idle",
    [
        {"bloom_radius": 0.02},
        {"noise_seed": 9},
        {"fixed_pattern_seed": 9},
        {"read_noise": 5.0},
        {"dsnu": 5.0},
        {"gain": 4.0},
        {"demosaic": "bilinear"},
        {"gamma": 1.8},
        {"sharpen_radius": 2.0},
        {"native_scale": 2.0},
    ],
)
def test_parameters_of_an_effect_that_is_off_change_no_bit(idle: dict[str, float]) -> None:
    image = scene()
    np.testing.assert_array_equal(sense(image, SensorRecord(**idle)), sense(image, SensorRecord()))  # type: ignore[arg-type]


EVERYTHING = SensorRecord(
    exposure=0.3,
    auto_exposure=0.2,
    full_well=4000.0,
    read_noise=3.0,
    noise_seed=11,
    field_angle=0.5,
    vignetting=(-0.2, 0.05, 0.0),
    chromatic_aberration=(0.002, -0.002),
    bloom=0.1,
    veiling_glare=0.02,
    color_temperature=5000.0,
    tint=0.004,
    channel_response=(0.5, 1.0, 0.65),
    gain=2.0,
    prnu=0.01,
    dsnu=3.0,
    adc_bits=10,
    bayer="rggb",
    saturation=1.2,
    tone_curve="filmic",
    contrast=1.1,
    sharpen=0.7,
    jpeg_quality=85,
)


POINTWISE = {
    "ideal": {},
    "noisy": {"full_well": 3000.0, "read_noise": 5.0, "noise_seed": (1 << 40) + 7, "gain": 2.0},
    "fixed pattern": {"full_well": 9000.0, "prnu": 0.02, "dsnu": 9.0, "fixed_pattern_seed": 5, "noise_seed": 3},
    "few levels": {"adc_bits": 6},
    "curve": {"tone_curve": "gamma", "gamma": 1.8, "contrast": 1.2, "full_well": 500.0},
}


@pytest.mark.parametrize("fields", POINTWISE.values(), ids=POINTWISE.keys())
def test_one_pass_gives_the_bits_of_the_stages(fields: dict[str, object]) -> None:
    image = 1.5 * scene()
    image[3, 5], image[4, 6, 1], image[5, 7, 2], image[6, 8, 0] = np.nan, np.inf, -1.0, 1e-30
    gains = np.array([1.1, 1.0, 0.7], np.float32)
    sensor = SensorRecord(**fields)  # type: ignore[arg-type]
    assert pointwise.applies_to(sensor)
    stages = develop(read_out(lens_planes(image, gains, sensor), sensor), sensor)
    np.testing.assert_array_equal(pointwise.take(image, gains, sensor), stages)
    np.testing.assert_array_equal(
        pointwise.take(image[:, ::-1], gains, replace(sensor, full_well=0.0, prnu=0.0)),
        pointwise.take(image, gains, replace(sensor, full_well=0.0, prnu=0.0))[:, ::-1],
    )


@pytest.mark.parametrize(
    "mixing",
    [
        {"bayer": "rggb"},
        {"channel_response": (0.5, 1.0, 0.7)},
        {"saturation": 0.5},
        {"sharpen": 1.0},
        {"blur": 1.0},
        {"vignetting": (-0.3, 0.0, 0.0)},
        {"field_angle": 0.6},
        {"chromatic_aberration": (0.003, -0.003)},
        {"bloom": 0.1},
        {"veiling_glare": 0.1},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_mixes_pixels_or_channels_goes_through_the_stages(mixing: dict[str, object]) -> None:
    """That they are left out in one pass shows where they are at work."""
    sensor = SensorRecord(full_well=4000.0, noise_seed=2, **mixing)  # type: ignore[arg-type]
    assert not pointwise.applies_to(sensor)
    assert (sense(scene(), sensor) != pointwise.take(scene(), ONES, sensor)).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (7, 2), (33, 41)])
def test_any_image_size_and_the_input_is_left_alone(size: tuple[int, int]) -> None:
    image = scene(*size) if min(size) > 8 else flat(0.3, *size)
    before = image.copy()
    out = sense(image, EVERYTHING)
    assert out.shape == image.shape
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(out, sense(image, EVERYTHING))


def test_broken_radiance_stays_where_it_is() -> None:
    image = scene()
    image[10, 10], image[20, 20], image[30, 30] = np.nan, np.inf, -np.inf
    whole = sense(image, SensorRecord(auto_exposure=0.2, full_well=1e4))
    assert (whole[10, 10] < 40).all()
    assert (whole[20, 20] == 255).all()
    assert (whole[60:] > 0).mean() > 0.9
    assert sense(image, replace(EVERYTHING, bloom=0.0, veiling_glare=0.0))[60:].std() > 5


@pytest.mark.parametrize(
    ("field", "value"),
    [("bloom", 1.2), ("gain", 0.0), ("jpeg_quality", 101), ("adc_bits", 20), ("color_temperature", 300.0)],
)
def test_impossible_parameters_are_named(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=field):
        sense(flat(0.5), SensorRecord(**{field: value}))  # type: ignore[arg-type]


# Lens


def test_natural_vignetting_is_the_fourth_power_of_the_cosine() -> None:
    height, width, angle = 97, 129, 0.6
    out = light(flat(1.0, height, width), field_angle=angle)
    y, x = np.mgrid[:height, :width]
    r = np.hypot(x - (width - 1) / 2, y - (height - 1) / 2) / np.hypot((width - 1) / 2, (height - 1) / 2)
    np.testing.assert_allclose(out[..., 1], np.cos(np.arctan(r * np.tan(angle))) ** 4, rtol=1e-5)
    assert out[0, 0, 0] == pytest.approx(np.cos(angle) ** 4, rel=1e-5)


def test_polynomial_falloff() -> None:
    out = light(flat(1.0), vignetting=(-0.3, 0.1, -0.2))
    assert out[0, 0, 2] == pytest.approx(0.6, rel=1e-5)
    assert out[48, 64, 2] == pytest.approx(1.0, rel=1e-3)


def test_lateral_colour_moves_red_and_blue_by_their_magnification() -> None:
    height, width = 64, 401
    image = np.zeros((height, width, 3), np.float32)
    image[:, 351:356] = 1.0  # centred 153 px right of the centre
    out = light(image, chromatic_aberration=(0.01, -0.005))
    position = (out[32] * np.arange(width)[:, None]).sum(0) / out[32].sum(0) - 200
    np.testing.assert_allclose(position, [153 * 1.01, 153, 153 * 0.995], atol=0.02)


def test_blur_is_a_gaussian_that_keeps_the_light() -> None:
    image = np.zeros((40, 61, 3), np.float32)
    image[20, 30] = 100.0
    out = light(image, blur=1.7)
    y, x = np.mgrid[:40, :61]
    density = np.exp(-((y - 20) ** 2 + (x - 30) ** 2) / (2 * 1.7**2)) / (2 * np.pi * 1.7**2)
    np.testing.assert_allclose(out[..., 1], 100 * density, atol=0.02)
    assert out[..., 0].sum(dtype=np.float64) == pytest.approx(100, rel=1e-4)
    np.testing.assert_allclose(light(flat(0.4, 30, 50), blur=5.0), 0.4, rtol=1e-5)


def test_glare_conserves_light_and_spreads_it() -> None:
    image = np.zeros((480, 640, 3), np.float32)
    image[240, 320] = 1000.0
    out = light(image, bloom=0.1, bloom_radius=0.01)
    assert out.sum(dtype=np.float64) == pytest.approx(image.sum(), rel=1e-4)
    assert out[240, 320, 0] == pytest.approx(900, rel=0.01)
    ring = [float(out[240, 320 + d, 1]) for d in (8, 16, 32, 64, 128)]
    assert all(a > b > 0 for a, b in pairwise(ring))
    # The tail falls with about the third power of the distance.
    assert 2.0 < np.log(ring[1] / ring[3]) / np.log(4) < 4.0
    far = light(image, veiling_glare=0.05)[0, 0, 0]
    assert far == pytest.approx(1000 * 0.05 / (480 * 640), rel=1e-3)


def test_glare_of_a_flat_image_is_the_flat_image() -> None:
    np.testing.assert_allclose(light(flat(0.4, 90, 130), bloom=0.2, veiling_glare=0.1), 0.4, rtol=1e-5)


def test_downsample_averages_areas_and_refuses_to_enlarge() -> None:
    image = scene(96, 128)
    np.testing.assert_allclose(
        downsample(image, 64, 48), image.reshape(48, 2, 64, 2, 3).mean((1, 3)), rtol=1e-5, atol=1e-6
    )
    assert downsample(image, 128, 96) is image
    with pytest.raises(RenderError, match="native_scale"):
        downsample(image, 200, 48)


# White balance


def test_illuminant_a_has_its_chromaticity() -> None:
    u, v = planckian_uv(2856.0)
    x, y = 3 * u / (2 * u - 8 * v + 4), 2 * v / (2 * u - 8 * v + 4)
    assert (x, y) == pytest.approx((0.44757, 0.40745), abs=5e-4)  # CIE 15


def test_balance_is_neutral_at_daylight_and_warms_with_temperature() -> None:
    np.testing.assert_array_equal(balance_gains(0.0), 1.0)
    np.testing.assert_allclose(balance_gains(6504.0), 1.0, atol=1e-9)
    cold, warm = balance_gains(3200.0), balance_gains(10000.0)
    assert cold[2] > 1 > cold[0]
    assert warm[0] > 1 > warm[2]
    assert [0.2126, 0.7152, 0.0722] @ cold == pytest.approx(1)
    green_light = light_rgb(5000.0, 0.02) / light_rgb(5000.0)
    assert green_light[1] > max(green_light[0], green_light[2])


# Photo-sites


@pytest.mark.parametrize("bayer", ["none", "rggb"])
def test_noise_grows_with_the_gain(bayer: str) -> None:
    for gain in (1.0, 4.0):
        out = raw(flat(0.4, 256, 256), full_well=5000.0, read_noise=10.0, gain=gain, bayer=bayer, noise_seed=3)
        green = out[0::2, 1::2, 1]  # sites of RGGB where green is measured
        assert green.var() == pytest.approx(0.4 * gain / 5000 + (10 * gain / 5000) ** 2, rel=0.05)
        assert green.mean() == pytest.approx(0.4, abs=0.001)


def test_fixed_pattern_is_the_cameras_own() -> None:
    def pattern(camera: int, frame: int, level: float, **fields: float) -> np.ndarray:
        mean = [
            raw(
                flat(level, 128, 128),
                full_well=2000.0,
                noise_seed=frame * 64 + k,
                fixed_pattern_seed=camera,
                **fields,
            )
            for k in range(32)
        ]
        return np.mean(mean, 0) - level

    a, b, other = (pattern(c, f, 0.5, prnu=0.02) for c, f in ((1, 0), (1, 1), (2, 2)))
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.8
    assert abs(np.corrcoef(a.ravel(), other.ravel())[0, 1]) < 0.02
    assert np.mean(a * b) ** 0.5 == pytest.approx(0.02 * 0.5, rel=0.05)
    dark, dark2 = (pattern(1, f, 0.0, dsnu=20.0) for f in (0, 1))
    assert np.mean(dark * dark2) ** 0.5 == pytest.approx(20 / 2000, rel=0.05)


def test_quantization_has_the_levels_of_the_converter() -> None:
    ramp = np.repeat(np.linspace(0, 1.5, 3000, dtype=np.float32)[None, :, None], 3, 2)
    out = raw(ramp, adc_bits=6)
    np.testing.assert_allclose(np.unique(out), np.arange(64) / 63, atol=1e-6)
    np.testing.assert_allclose(out, np.floor(np.minimum(ramp, 1) * 63 + 0.5) / 63, atol=1e-6)


def test_small_response_means_more_noise_at_the_same_level() -> None:
    out = raw(flat(0.5, 256, 256), full_well=5000.0, channel_response=(0.25, 1.0, 0.5), noise_seed=1)
    np.testing.assert_allclose(out.mean((0, 1)), 0.5, atol=2e-3)
    np.testing.assert_allclose(out.var((0, 1)), 0.5 / 5000 / np.array([0.25, 1.0, 0.5]), rtol=0.05)


# The filters of Malvar, He and Cutler (2004), figure 2, and bilinear interpolation.
GREEN = np.array([[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]) / 8
ROW = np.array([[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]]) / 8
DIAGONAL = (
    np.array([[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]]) / 8
)
BI_GREEN = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]) / 4
BI_ROW = np.array([[0, 0, 0], [1, 0, 1], [0, 0, 0]]) / 2
BI_DIAGONAL = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 1]]) / 4


@pytest.mark.parametrize("method", ["malvar", "bilinear"])
@pytest.mark.parametrize("bayer", ["rggb", "bggr", "grbg", "gbrg"])
def test_demosaic_is_the_published_filter(bayer: str, method: str) -> None:
    image = scene(34, 45) * 0.9 + 0.05
    height, width = image.shape[:2]
    channel = np.array([["rgb".index(bayer[2 * (y % 2) + x % 2]) for x in range(width)] for y in range(height)])
    mosaic = np.take_along_axis(image, channel[..., None], 2)[..., 0].astype(np.float64)
    filters = (GREEN, ROW, ROW.T, DIAGONAL) if method == "malvar" else (BI_GREEN, BI_ROW, BI_ROW.T, BI_DIAGONAL)
    green, row, column, diagonal = (ndimage.convolve(mosaic, f, mode="mirror") for f in filters)
    expected = np.stack([mosaic] * 3, 2)
    red_rows = (channel == 0).any(1)[:, None]
    expected[..., 1] = np.where(channel == 1, mosaic, green)
    expected[..., 0] = np.select([channel == 0, channel == 2, red_rows], [mosaic, diagonal, row], column)
    expected[..., 2] = np.select([channel == 2, channel == 0, red_rows], [mosaic, diagonal, column], row)
    np.testing.assert_allclose(raw(image, bayer=bayer, demosaic=method), expected, atol=2e-6)


# Development


@pytest.mark.parametrize(
    ("curve", "point", "value"),
    [
        ("rec709", 0.5, 1.099 * 0.5**0.45 - 0.099),
        ("rec709", 0.01, 0.045),
        ("gamma", 0.5, 0.5 ** (1 / 2.2)),
        ("srgb", 0.5, 1.055 * 0.5 ** (1 / 2.4) - 0.055),
    ],
)
def test_tone_curves(curve: str, point: float, value: float) -> None:
    assert encode_curve(curve, 2.2, np.array(point)) == pytest.approx(value)
    ramp = encode_curve(curve, 2.2, np.linspace(0, 1, 1001))
    assert (np.diff(ramp) > 0).all()
    assert ramp[[0, -1]] == pytest.approx([0, 1], abs=1e-9)
    image = sense(flat(point), SensorRecord(tone_curve=curve))  # type: ignore[arg-type]
    assert abs(int(image[0, 0, 0]) - 255 * value) <= 1


def test_filmic_is_s_shaped() -> None:
    x = np.linspace(0, 1, 1001)
    film, plain = encode_curve("filmic", 2.2, x), encode_curve("srgb", 2.2, x)
    assert film[[0, -1]] == pytest.approx([0, 1], abs=1e-9)
    assert (np.diff(film) > 0).all()
    assert film[500] > plain[500]
    assert np.diff(film)[-1] < np.diff(plain)[-1]


def test_contrast_turns_about_the_middle() -> None:
    image = scene()
    plain, strong = (sense(image, SensorRecord(contrast=c)).astype(float) for c in (1.0, 1.3))
    assert np.abs(np.clip(127.5 + 1.3 * (plain - 127.5), 0, 255) - strong).max() <= 1.2


def test_saturation_moves_colours_from_grey() -> None:
    image = scene()
    grey = sense(image, SensorRecord(saturation=0.0))
    assert int(np.ptp(grey, axis=2).max()) == 0
    np.testing.assert_array_equal(sense(flat(0.3), SensorRecord(saturation=1.7)), sense(flat(0.3), SensorRecord()))
    spread = [np.ptp(sense(image, SensorRecord(saturation=s)).astype(int), axis=2).mean() for s in (0.5, 1.0, 1.5)]
    assert spread[0] < spread[1] < spread[2]


def test_sharpening_is_an_unsharp_mask_of_the_luma() -> None:
    image = scene()
    plain = 255 * encode_curve("srgb", 2.2, image.astype(float))
    luma = plain @ [0.2126, 0.7152, 0.0722]
    detail = luma - ndimage.gaussian_filter(luma, 1.2, truncate=10 / 3, mode="nearest")
    expected = np.clip(plain + 0.8 * detail[..., None], 0, 255)
    sharp = sense(image, SensorRecord(sharpen=0.8, sharpen_radius=1.2)).astype(float)
    assert np.abs(sharp - expected).max() < 1.5
    np.testing.assert_array_equal(sense(flat(0.3), SensorRecord(sharpen=1.0)), sense(flat(0.3), SensorRecord()))


def test_jpeg_loses_as_much_as_another_codec() -> None:
    image = develop(np.ascontiguousarray(np.moveaxis(scene(), 2, 0)), SensorRecord())
    for quality in (30, 90):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
        with Image.open(buffer) as other:
            peer = np.asarray(other, int)
        ours = jpeg(image, quality).astype(int)
        assert np.abs(ours - peer).mean() < 1.0
        assert 0 < np.abs(ours - image).mean() < 8
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    assert jpeg(red, 95)[8, 8].tolist() == pytest.approx([200, 0, 0], abs=3)  # and not blue


def test_mosaic_and_noise_and_compression_keep_the_picture() -> None:
    image = cv2.resize(scene(), (256, 192))
    ideal = replace(EVERYTHING, full_well=0.0, prnu=0.0, adc_bits=0, bayer="none", jpeg_quality=0)
    plain, full = (sense(image, sensor).astype(float) for sensor in (ideal, replace(EVERYTHING, full_well=2e4)))
    assert np.corrcoef(plain.ravel(), full.ravel())[0, 1] > 0.98
    assert abs(plain.mean() - full.mean()) < 1


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3])
def test_metering_spares_highlights(share: float) -> None:
    """A third of the image is 30 times as bright as the rest: metering to the mean alone would clip all of it."""
    rng = np.random.default_rng(1)
    image = np.repeat(rng.uniform(0.02, 0.04, (96, 96, 1)).astype(np.float32), 3, 2)
    image[:32] *= 30
    plain = sense(image, SensorRecord(auto_exposure=0.2))
    spared = sense(image, SensorRecord(auto_exposure=0.2, max_clipped=share))
    assert (plain == 255).all(2).mean() > 0.33
    # Whole sites of four by four pixels are metered, so that the image's share is not exactly that of the sites.
    assert share - 0.03 <= (spared == 255).all(2).mean() <= share + 0.03
    assert spared.mean() < plain.mean()


def test_metering_of_a_grey_image_ignores_the_limit() -> None:
    image = np.full((16, 16, 3), 0.3, np.float32)
    dim = sense(image, SensorRecord(auto_exposure=0.2))
    assert (sense(image, SensorRecord(auto_exposure=0.2, max_clipped=0.01)) == dim).all()
    image[0, 0] = np.nan  # a broken pixel does not blind it
    assert sense(image, SensorRecord(auto_exposure=0.2, max_clipped=0.5))[8, 8, 0] > 0
