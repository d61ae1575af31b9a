"""Columns of the tables that kernels read. Numba treats these as compile-time constants."""

# integers of a drawable, int32
FIRST_IN_POOL = 0  # vertex pool
VERTICES = 1
FACES_IN_POOL = 2  # face pool, in faces
FACES = 3
FIRST_VERTEX = 4  # vertices of the image
FIRST_FACE = 5  # faces of the image
INSTANCE = 6
PART = 7
COLORS_IN_POOL = 8  # color pool, in vertices; -1: none
PROJECTION = 9  # 0: no coordinates, 1: uv, 2: box
COLOR_MAP = 10  # row of the texture table; -1: none
ALPHA_MAP = 11
ROUGHNESS_MAP = 12
NORMAL_MAP = 13
CUTOUT = 14
CULL = 15  # sign of the image area of faces that are never seen (the inside of a closed mesh); 0: all can be seen
DRAW_INTS = 16

# reals of a drawable, float32
BASE = 0  # rgb
BASE_ALPHA = 3
ROUGHNESS = 4
METALLIC = 5
EMISSIVE = 6  # rgb
CUTOFF = 9
DRAW_REALS = 10

# matrices of a drawable, float64, each 3x4 row by row
CAM_MESH = 0  # from mesh coordinates before scale to the camera
CAM_OBJ = 12  # from object coordinates (after scale) to the camera
OBJ_CAM = 24
NEXT_CAM = 36  # from the camera now to the camera at the next time, for a point of the object
PREVIOUS_CAM = 48
DRAW_MATRICES = 60

# where a drawable is in the image, float64
BOX = 0  # xmin, xmax, ymin, ymax in pixels; infinite when it crosses the near plane
Z_MIN = 4
Z_MAX = 5
CLIPS = 6  # 1: crosses the near plane
HIDDEN = 7  # 1: wholly behind the near plane, beyond the far one, or not finite
DRAW_PLACES = 8

# vertices: in the pool (float32) and in the image (float64)
VERTEX = 8  # x y z, nx ny nz, u v
PLACED = 5  # X Y Z in the camera, x y in the image

# camera, float64
FX, FY, CX, CY, SKEW, NEAR, FAR = range(7)
CAMERA_REALS = 7

# visible triangles, float32: planes are value / z = a + b (x - x0) + c (y - y0); the first eight say where it lies
X0 = 0
Y0 = 1
FACE_N = 2  # unit normal of the triangle, facing the camera
PLANE_W = 5  # 1 / z
PLANE_U = 8
PLANE_V = 11
PLANE_NX = 14
PLANE_NY = 17
PLANE_NZ = 20
TANGENT = 23  # camera frame, unit; 0 where there is none
BITANGENT = 26
PLANE_R = 29  # vertex colour
PLANE_G = 32
PLANE_B = 35
TRIANGLE = 40

# texture table, int32: number of levels, kind, then (start, width, height) of each level
LEVELS = 0
LEVEL = 2
MAX_LEVELS = 14
TEXTURE_INTS = LEVEL + 3 * MAX_LEVELS
