"""How far one set of images is from another, without training anything: labels, pictures, features."""
