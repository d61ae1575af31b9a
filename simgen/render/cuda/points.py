"""Where the values of a fragment lie in the small array in which it is shaded, float32."""

# Surface point, normal and face normal (camera frame), direction to the camera, cosine between normal and direction.
X, Y, Z, NX, NY, NZ, FNX, FNY, FNZ, VX, VY, VZ, NV = range(13)
# Texture coordinates and their steps: u along x, v along x, u along y, v along y.
U, V, UX, VXU, UY, VYU = range(13, 19)
# Material: diffuse colour, roughness and its square, reflectance at normal incidence; light sent out so far.
R, G, B, ROUGH, ALPHA, F0R, F0G, F0B, OUT_R, OUT_G, OUT_B = range(19, 30)
# A light: direction, irradiance factor, diffuse cosine, alpha of the highlight, share seen.
LX, LY, LZ, ER, EG, LOBE, SEEN = range(30, 37)
# Share of the sky that is open, and a fixed pattern of noise over the image.
OPEN, NOISE = range(37, 39)
VALUES = 40
