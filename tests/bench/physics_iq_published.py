"""Physics-IQ by its published code and by orrery on the same videos: every sub-metric, and processor time side by side.

Run: python tests/bench/physics_iq_published.py PHYSICS_IQ ORRERY [--side 540] [--scenarios 1] [--rounds 3]
with PHYSICS_IQ a checkout of github.com/google-deepmind/physics-IQ-benchmark (its physiq/binary_mask_generator.py and
physiq/calculate_and_write_metrics_to_csv.py are run as they are) and ORRERY the program. Wants opencv-python, numpy,
pandas and tqdm. Videos are drawn here: textured discs over a textured ground, two takes and a generated one for each of
three views, five seconds of 24 frames a second, H.264 by ffmpeg: lossless RGB, so that both sides see the same pixels, or with --codec
yuv the usual kind, which every decoder turns into RGB with roundings of its own (masks sit on a threshold).

Published code stores masks as lossy MP4. The second comparison keeps its masks in memory instead, by giving its OpenCV
another VideoWriter: with that step away nothing else differs.
"""
import argparse
import contextlib
import io
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import cv2
import numpy as np

FPS, SECONDS = 24, 5
CODECS = {"rgb": ["-c:v", "libx264rgb", "-qp", "0"], "yuv": ["-c:v", "libx264", "-pix_fmt", "yuv420p"]}
VIEWS = ["perspective-left", "perspective-center", "perspective-right"]


def draw(path, width, height, seed, wrong, codec):
    """Frames as PNG, turned into an MP4."""
    with tempfile.TemporaryDirectory() as folder:
        random = np.random.default_rng(seed)
        ground = cv2.GaussianBlur(random.integers(60, 190, (height, width, 3), np.uint8), (0, 0), 3)
        balls = random.uniform(0.1, 0.9, (4, 5))
        for t in range(FPS * SECONDS):
            frame, s = ground.copy(), t / FPS
            for i, (x, y, u, v, r) in enumerate(balls):
                x = (x + (u - 0.5) * 0.4 * s * (1 + wrong * (i + 1))) % 1
                y = min(0.9, y * 0.3 + 0.5 * v * (0.2 + wrong) * s * s)
                cv2.circle(frame, (int(x * width), int(y * height)), int((0.03 + 0.05 * r) * height),
                           (40 + 50 * i, 200 - 40 * i, 90 + 30 * i), -1, cv2.LINE_AA)
            cv2.imwrite(f"{folder}/{t:04d}.png", frame)
        subprocess.run(["ffmpeg", "-loglevel", "error", "-y", "-framerate", str(FPS), "-i", f"{folder}/%04d.png", *codec,
                        "-threads", "1", str(path)], check=True)


def make_videos(root, side, scenarios, codec):
    width, height = side * 16 // 9 // 8 * 8, side // 8 * 8
    for folder in ("real", "generated"):
        (root / folder).mkdir()
    for s in range(scenarios):
        for v, view in enumerate(VIEWS):
            seed = 10 * s + v
            for take in (1, 2):
                draw(root / "real" / f"{seed:04d}_testing-videos_{FPS}FPS_{view}_take-{take}_scene{s}.mp4", width,
                     height, seed, 0.05 * (take - 1), codec)
            draw(root / "generated" / f"{seed:04d}_{view}_scene{s}.mp4", width, height, seed, 0.3, codec)


class Kept:
    """What the published code writes as a mask video, kept as it is."""
    store = {}

    def __init__(self, path, *_, **__):
        self.frames = self.store[path] = []
        open(path, "wb").close()  # it is looked for

    def write(self, frame):
        self.frames.append(frame.copy())

    def release(self):
        pass


class KeptReader:
    real = cv2.VideoCapture

    def __new__(cls, path):
        if path not in Kept.store:
            return cls.real(path)
        self = super().__new__(cls)
        self.frames, self.next = Kept.store[path], 0
        return self

    def isOpened(self):
        return True

    def read(self):
        self.next += 1
        done = self.next > len(self.frames)
        return not done, None if done else cv2.cvtColor(self.frames[self.next - 1], cv2.COLOR_GRAY2BGR)

    def release(self):
        pass


def published(root, package, lossless):
    masks = root / "masks"
    shutil.rmtree(masks, ignore_errors=True)
    sys.path.insert(0, package)
    from physiq.binary_mask_generator import generate_binary_masks
    from physiq.calculate_and_write_metrics_to_csv import process_videos
    import pandas as pd
    if lossless:
        cv2.VideoWriter, cv2.VideoCapture = Kept, KeptReader
    generate = lambda folder, real: generate_binary_masks(str(root / folder), str(masks / folder), real)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        generate("real", True), generate("generated", False)
        mask_folder = lambda folder: str(masks / folder) if not lossless else os.path.join(str(masks / folder), ".")
        process_videos(str(root / "real"), str(root / "generated"), mask_folder("real"), mask_folder("generated"),
                       str(root / "out.csv"), FPS)
    table = pd.read_csv(root / "out.csv").set_index("scenario")
    mean = lambda text: float(np.mean(json.loads(text))) if isinstance(text, str) else float(text)
    out = {}
    for scenario, row in table.iterrows():
        for view in VIEWS:
            get = lambda key: mean(row[f"{key}_{view}"])
            out[f"{pathlib.Path(scenario).stem} {view}"] = {
                "model": {"spatial_iou": get("spatial_iou_v1"), "spatiotemporal_iou": get("spatiotemporal_iou_v1"),
                          "weighted_spatial_iou": get("weighted_spatial_iou_v1"), "mse": get("v1_mse")},
                "variance": {"spatial_iou": get("variance_spatial"),
                             "spatiotemporal_iou": get("variance_spatiotemporal_iou"),
                             "weighted_spatial_iou": get("variance_weighted_spatial"), "mse": get("variance_mse")}}
    return out


def child_seconds(command, **kwargs):
    """Processor and wall-clock seconds of a process and what it prints."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, check=True, capture_output=True, text=True, **kwargs)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - start
    return np.array([after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall]), done.stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("physics_iq")
    parser.add_argument("orrery")
    parser.add_argument("--side", type=int, default=540)
    parser.add_argument("--scenarios", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--codec", choices=CODECS, default="rgb")
    parser.add_argument("--only", choices=["lossy", "lossless"])
    parser.add_argument("--root")
    args = parser.parse_args()
    if args.only:  # the published code alone, in a process of its own
        print(json.dumps(published(pathlib.Path(args.root), args.physics_iq, args.only == "lossless")))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        make_videos(root, args.side, args.scenarios, CODECS[args.codec])
        theirs = lambda kind: child_seconds([sys.executable, __file__, args.physics_iq, args.orrery, "--only", kind,
                                             "--root", folder])
        ours = lambda: child_seconds([args.orrery, "score", "physics-iq", "--real", str(root / "real"), "--generated",
                                      str(root / "generated"), "--json"])
        imports, _ = child_seconds([sys.executable, "-c", "import cv2, numpy, pandas, tqdm"])
        times = [(theirs("lossy")[0] - imports, ours()[0]) for _ in range(args.rounds)]
        lossy, lossless = (json.loads(theirs(kind)[1]) for kind in ("lossy", "lossless"))
        mine = {view["view"]: view for view in json.loads(ours()[1])["views"]}
        worst = lambda other: {key: max(abs(mine[view][part][key] - other[view][part][key]) for view in mine
                                        for part in ("model", "variance"))
                               for key in ("spatial_iou", "spatiotemporal_iou", "weighted_spatial_iou", "mse")}
        print(f"{len(mine)} views of {args.side} lines, OpenCV {cv2.__version__} there")
        print("largest difference with its lossy masks  ", {k: f"{v:.2g}" for k, v in worst(lossy).items()})
        print("largest difference without that step     ", {k: f"{v:.2g}" for k, v in worst(lossless).items()})
        for which, name in enumerate(("processor", "wall-clock")):
            ratios = sorted(a[which] / b[which] for a, b in times)
            print(f"{name} seconds, theirs without imports / ours:",
                  ", ".join(f"{a[which]:.2f} / {b[which]:.2f}" for a, b in times),
                  f"; median ratio {ratios[len(ratios) // 2]:.2f}")


main()
