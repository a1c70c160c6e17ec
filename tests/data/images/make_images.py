"""Makes the pictures of this folder and expected.txt, what Pillow 13.0.0 sees in them. Needs pillow, numpy, xxhash.

    python3 make_images.py

expected.txt has a line for each check; HASH is XXH3-128 of the bytes:
    rgb FILE WIDTH HEIGHT HASH              as transformers' load_image, then its convert_to_rgb
    resize FILE WIDTH HEIGHT HASH           bicubic, the horizontal pass first (two calls, so that any Pillow does it)
    patches FILE MIN MAX ROWS COLUMNS HASH  float32 pixel_values of Qwen2VLImageProcessorPil
"""

import io
import math
import pathlib
import struct
import warnings
import zlib

import numpy as np
import xxhash
from PIL import Image, ImageOps

warnings.simplefilter("ignore")
HERE = pathlib.Path(__file__).parent
random = np.random.default_rng(20)
files = {}


def photo(height, width, channels=3):
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 100 * np.sin(x / 7 + k) * np.cos(y / (5 + k)) for k in range(channels)]
    noisy = np.stack(waves, -1) + random.normal(0, 20, (height, width, channels))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def save(name, image, **options):
    out = io.BytesIO()
    image.save(out, {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}[name.rsplit(".")[-1]], **options)
    files[name] = out.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, bits, color, rows, extra=b"", interlaced=0):
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


def exif(orientation, order="MM", kind=3):
    e = ">" if order == "MM" else "<"
    value = struct.pack(e + "HH", orientation, 0) if kind == 3 else struct.pack(e + "I", orientation)
    return (b"Exif\0\0" + order.encode() + struct.pack(e + "HIH", 42, 8, 2)
            + struct.pack(e + "HHI4s", 0x10F, 2, 3, b"ab\0\0") + struct.pack(e + "HHI", 0x112, kind, 1) + value
            + struct.pack(e + "I", 0))


def every_png_kind():
    width, height = 11, 5
    for color, channels, depths in ((0, 1, (1, 2, 4, 8, 16)), (2, 3, (8, 16)), (3, 1, (1, 2, 4, 8)), (4, 2, (8, 16)),
                                    (6, 4, (8, 16))):
        for bits in depths:
            if color == 0 and bits == 16:
                lines = [random.integers(0, 400, width).astype(">u2").tobytes() for _ in range(height)]
            else:
                size = (width * channels * bits + 7) // 8
                lines = [random.integers(0, 256, size, dtype=np.uint8).tobytes() for _ in range(height)]
            rows = b"".join(b"\0" + line for line in lines)
            kinds = {"": b""}
            if color == 0:
                kinds.update({f"_key{key}": chunk(b"tRNS", struct.pack(">H", key)) for key in (0, 1, 85, 256)})
            if color == 2:
                first = struct.unpack(">3H", lines[0][:6]) if bits == 16 else tuple(lines[0][:3])
                low = [sample >> 8 for sample in first]
                kinds["_key"] = chunk(b"tRNS", struct.pack(">3H", *first))
                kinds["_keylow"] = chunk(b"tRNS", struct.pack(">3H", *low))
            if color == 3:
                colors = random.integers(0, 256, 3 << bits, dtype=np.uint8).tobytes()
                twins = colors[:3] + colors[:3] + colors[6:]
                kinds = {"": chunk(b"PLTE", colors), "_short": chunk(b"PLTE", colors[: 3 * max(1, (2 << bits) // 3)]),
                         "_one": chunk(b"PLTE", twins) + chunk(b"tRNS", b"\xff\0"),
                         "_half": chunk(b"PLTE", colors) + chunk(b"tRNS", b"\0\x80"),
                         "_opaque": chunk(b"PLTE", colors) + chunk(b"tRNS", b"\xff\xff"),
                         "_two": chunk(b"PLTE", colors) + chunk(b"tRNS", b"\0\0")}
            for kind, extra in kinds.items():
                files[f"png_c{color}_b{bits}{kind}.png"] = png(width, height, bits, color, rows, extra)


def adam7(pixels, width, height, bits):
    out = b""
    for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
                           (0, 1, 1, 2)):
        for y in range(y0, height if x0 < width else 0, dy):
            row = pixels[y][x0:width:dx]
            if bits >= 8:
                out += b"\0" + b"".join(row)
            else:
                text = "".join(format(value, f"0{bits}b") for value in row)
                text += "0" * (-len(text) % 8)
                out += b"\0" + bytes(int(text[i:i + 8], 2) for i in range(0, len(text), 8))
    return out


def interlaced():
    for width, height in ((1, 1), (3, 2), (13, 9)):
        picture = photo(height, width)
        rgb = [[bytes(pixel) for pixel in row] for row in picture]
        files[f"adam7_rgb_{width}x{height}.png"] = png(width, height, 8, 2, adam7(rgb, width, height, 24), b"", 1)
        indices = (picture[:, :, 0] % 4).tolist()
        colors = chunk(b"PLTE", random.integers(0, 256, 12, dtype=np.uint8).tobytes())
        files[f"adam7_pal_{width}x{height}.png"] = png(width, height, 2, 3, adam7(indices, width, height, 2), colors, 1)


def orientations():
    upright = Image.fromarray(photo(6, 9))
    for value in range(10):
        save(f"exif_{value}.jpg", upright, exif=exif(value, "II" if value % 2 else "MM", 4 if value % 3 == 0 else 3))
    save("exif_5.png", upright, exif=exif(5))
    save("exif_7.webp", upright, exif=exif(7), lossless=True)
    save("exif_6_palette.png", upright.quantize(20), exif=exif(6), transparency=7)
    plain = png(5, 4, 8, 0, b"".join(b"\0" + bytes(range(i, i + 5)) for i in range(4)))
    files["exif_after_pixels.png"] = plain[:-12] + chunk(b"eXIf", exif(6)[6:]) + plain[-12:]
    digits = exif(8).hex()
    profile = "\nexif\n%8d\n" % len(exif(8)) + "\n".join(digits[i:i + 72] for i in range(0, len(digits), 72)) + "\n"
    files["exif_profile.png"] = (plain[:33] + chunk(b"zTXt", b"Raw profile type exif\0\0"
                                                    + zlib.compress(profile.encode())) + plain[33:])
    xmp = b"<x tiff:Orientation='1' tiff:Orientation=\"6\"/>"
    files["xmp_6.png"] = plain[:33] + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp) + plain[33:]
    save("xmp_6.webp", upright, xmp=xmp, lossless=True)
    save("xmp_5.jpg", upright, xmp=b"<tiff:Orientation>5</tiff:Orientation>")
    save("xmp_6_exif_1.jpg", upright, xmp=xmp, exif=exif(1))


def lossy():
    picture = Image.fromarray(photo(23, 31))
    alpha = Image.fromarray(photo(23, 31, 1)[:, :, 0])
    for sampling in (0, 1, 2):
        save(f"sampling_{sampling}.jpg", picture, quality=80, subsampling=sampling)
    save("progressive.jpg", picture, progressive=True)
    save("grey.jpg", picture.convert("L"))
    save("keep_rgb.jpg", picture, keep_rgb=True)
    save("restart.jpg", picture, restart_marker_rows=1)
    save("cmyk.jpg", picture.convert("CMYK"))
    at = files["cmyk.jpg"].find(b"Adobe") + 11
    files["ycck.jpg"] = files["cmyk.jpg"][:at] + b"\2" + files["cmyk.jpg"][at + 1:]
    save("lossy.webp", picture, quality=60)
    both = picture.copy()
    both.putalpha(alpha)
    save("alpha.webp", both, quality=60)
    save("alpha_lossless.webp", both, lossless=True, exact=True)
    save("animated.webp", both, save_all=True, append_images=[both.rotate(180)], duration=50)
    save("animated.png", both, save_all=True, append_images=[both.rotate(180)])
    for width, height in ((1, 1), (1, 19), (40, 1), (150, 3)):
        image = Image.fromarray(photo(height, width))
        for kind in ("jpg", "webp", "png"):
            save(f"size_{width}x{height}.{kind}", image)


def as_transformers(data):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    if image.info.get("transparency") is not None:
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    image.info.clear()
    return image


def resized(image, width, height):
    return image.resize((width, image.height), Image.BICUBIC).resize((width, height), Image.BICUBIC)


def smart_resize(height, width, low, high):
    h, w = round(height / 28) * 28, round(width / 28) * 28
    if h * w > high:
        beta = math.sqrt(height * width / high)
        h, w = (max(28, math.floor(side / beta / 28) * 28) for side in (height, width))
    elif h * w < low:
        beta = math.sqrt(low / (height * width))
        h, w = (math.ceil(side * beta / 28) * 28 for side in (height, width))
    return h, w


def patches(image, low, high):
    h, w = smart_resize(image.height, image.width, low, high)
    mean = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
    std = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
    pixels = (np.array(resized(image, w, h)).astype(np.float64) * (1 / 255)).astype(np.float32)
    pixels = ((pixels - mean) / std).transpose(2, 0, 1)
    blocks = pixels.reshape(3, h // 28, 2, 14, w // 28, 2, 14).transpose(1, 4, 2, 5, 0, 3, 6)
    return h // 14, w // 14, np.repeat(blocks[:, :, :, :, :, None], 2, 5)


def main():
    every_png_kind()
    interlaced()
    orientations()
    lossy()
    lines = []
    for name, data in sorted(files.items()):
        (HERE / name).write_bytes(data)
        image = as_transformers(data)
        lines.append(f"rgb {name} {image.width} {image.height} {xxhash.xxh3_128_hexdigest(image.tobytes())}")
    for name in ("sampling_0.jpg", "exif_6.jpg", "size_1x19.png", "size_150x3.png", "png_c3_b8.png"):
        image = as_transformers(files[name])
        for width, height in ((28, 56), (56, 28), (image.width, 28), (28, image.height), (1, 1), (2, 2), (70, 70),
                              (image.width + 1, image.height + 1)):
            hashed = xxhash.xxh3_128_hexdigest(resized(image, width, height).tobytes())
            lines.append(f"resize {name} {width} {height} {hashed}")
        for low, high in ((3136, 9408), (784, 1568)):
            rows, columns, values = patches(image, low, high)
            lines.append(f"patches {name} {low} {high} {rows} {columns} {xxhash.xxh3_128_hexdigest(values.tobytes())}")
    (HERE / "expected.txt").write_text("\n".join(lines) + "\n")


main()
