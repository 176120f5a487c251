#!/usr/bin/env python3
"""Clips of another simulator and renderer, lawful and broken, and how well `orrery score physics` tells them apart.

MuJoCo (pip install mujoco numpy) simulates and renders with a perspective camera, a light and shadows, in software
(apt install libosmesa6 ffmpeg). Nothing in physics_eval was set on these clips: they measure, they do not calibrate.

  mujoco_clips.py make DIR [--count 130] [--seed 1]     DIR/NNN-SCENE-{lawful,KIND}.mp4 and DIR/labels.json
  mujoco_clips.py score DIR ORRERY                      ROC AUC overall, a kind and a scene, and the law named
"""
import argparse
import json
import math
import os
import subprocess
import sys

SIZE, FPS, FRAMES, STEPS = 256, 24, 48, 20  # STEPS: simulation steps a frame
SCENES = ["bounce", "throw", "roll", "collide", "pendulum"]
COMMON = ["teleport", "vanish", "appear", "size-change", "colour-change", "sudden-stop", "frozen", "reversed-time",
          "jitter"]
KINDS = {
    "bounce": COMMON + ["gravity-off", "gravity-reversed", "gravity-doubled", "energy-gain", "pass-floor"],
    "throw": COMMON + ["gravity-off", "gravity-reversed", "gravity-doubled", "pass-floor"],
    "roll": COMMON + ["gravity-reversed", "pass-floor"],
    "collide": COMMON + ["gravity-reversed", "pass-floor", "pass-through"],
    "pendulum": ["colour-change", "size-change", "vanish", "appear", "sudden-stop", "frozen", "reversed-time",
                 "gravity-off", "gravity-reversed", "gravity-doubled", "energy-gain"],
}
# Laws that may be named for a kind; as in physics_score.cc.
LAW_OF = {
    "gravity-off": ["gravity", "oscillation", "orbit"], "gravity-reversed": ["gravity", "oscillation", "orbit"],
    "gravity-doubled": ["gravity", "oscillation", "orbit"], "energy-gain": ["bounce", "oscillation", "momentum"],
    "teleport": ["permanence"], "vanish": ["permanence"], "appear": ["permanence"], "size-change": ["rigidity"],
    "colour-change": ["colour"], "sudden-stop": ["inertia"], "frozen": ["inertia"], "jitter": ["inertia"],
    "reversed-time": ["time"], "pass-floor": ["interpenetration"], "pass-through": ["interpenetration"],
}
COLOURS = [(.84, .16, .17), (.18, .64, .28), (.17, .36, .87), (.94, .80, .14), (.55, .24, .75), (.95, .50, .11),
           (.16, .75, .82), (.94, .47, .69)]


def draw_spec(scene, rng):
    """Everything random about one clip, so that its twin shares it."""
    spec = {"scene": scene, "gravity": rng.uniform(4, 9.8), "colours": [COLOURS[i] for i in rng.permutation(8)[:2]],
            "wall": rng.uniform(.55, .85), "floor": rng.uniform(.35, .6), "yaw": rng.uniform(-6, 6),
            "pitch": rng.uniform(3, 10), "light": [rng.uniform(-2, 2), rng.uniform(-4, -2), 6],
            "radius": [rng.uniform(.16, .3), rng.uniform(.16, .3)], "restitution": rng.uniform(.55, .9)}
    side = 1 if rng.random() < .5 else -1
    spec["balls"] = [{"x": -side * rng.uniform(.6, 1.5), "z": rng.uniform(1.8, 3.2), "vx": side * rng.uniform(.2, 1.0),
                      "vy": rng.uniform(-.1, .1), "vz": 0.0}]
    ball = spec["balls"][0]
    if scene == "throw":
        ball.update(z=rng.uniform(.6, 1.4), vx=side * rng.uniform(1.0, 1.8), vz=rng.uniform(2.0, 3.6))
    if scene in ("roll", "collide"):
        ball.update(z=spec["radius"][0], x=-side * rng.uniform(1.1, 1.7), vx=side * rng.uniform(.9, 1.8))
    if scene == "collide":
        spec["balls"].append({"x": side * rng.uniform(.2, 1.0), "z": spec["radius"][1],
                              "vx": -side * rng.uniform(0, .8), "vy": 0.0, "vz": 0.0})
        ball["vy"] = 0.0
    if scene == "pendulum":
        spec.update(length=rng.uniform(1.1, 1.9), angle=side * rng.uniform(.4, 1.1))
    return spec


def model_xml(spec):
    # A contact as a spring and damper (negative solref) whose damping gives the restitution wanted.
    stiffness = 40000.0
    loss = -math.log(spec["restitution"]) / math.sqrt(math.pi ** 2 + math.log(spec["restitution"]) ** 2)
    damping = 2 * loss * math.sqrt(stiffness)
    rgb = lambda c: " ".join(f"{v:.3f}" for v in c) + " 1"
    bodies = ""
    if spec["scene"] == "pendulum":
        bodies = f"""<body name="b0" pos="0 0 3.1"><joint name="hinge" type="hinge" axis="0 1 0" damping="0.02"/>
          <geom type="capsule" fromto="0 0 0 0 0 -{spec['length']}" size="0.02" rgba=".3 .3 .32 1" mass="0.01"/>
          <geom name="g0" type="sphere" pos="0 0 -{spec['length']}" size="{spec['radius'][0]}" mass="1"
                rgba="{rgb(spec['colours'][0])}"/></body>"""
    else:
        for i, ball in enumerate(spec["balls"]):
            bodies += f"""<body name="b{i}" pos="{ball['x']} 0 {ball['z']}"><freejoint/>
              <geom name="g{i}" type="sphere" size="{spec['radius'][i]}" density="500"
                    rgba="{rgb(spec['colours'][i])}" friction="0.6 0.002 0.0001"/></body>"""
    light = " ".join(f"{v:.2f}" for v in spec["light"])
    return f"""<mujoco><option timestep="{1 / (FPS * STEPS)}" gravity="0 0 -{spec['gravity']}" integrator="RK4"/>
      <visual><quality shadowsize="1024" offsamples="2"/><global offwidth="{SIZE}" offheight="{SIZE}"/>
        <headlight ambient=".45 .45 .45" diffuse=".25 .25 .25" specular="0 0 0"/></visual>
      <default><geom solref="-{stiffness} -{damping}" condim="4"/></default>
      <worldbody><light pos="{light}" dir="{-spec['light'][0]:.2f} {-spec['light'][1]:.2f} -6" diffuse=".5 .5 .5"
                        castshadow="true"/>
        <geom name="floor" type="plane" size="8 8 .1" rgba="{rgb([spec['floor']] * 3)}" friction="0.6 0.002 0.0001"/>
        <geom type="box" pos="0 2.5 3" size="8 .05 5" rgba="{rgb([spec['wall']] * 3)}" contype="0" conaffinity="0"/>
        {bodies}</worldbody></mujoco>"""


class Run:
    """One clip: simulate, break at `at` as `kind` says, render."""

    def __init__(self, mujoco, np, spec, kind=None, at=0, seed=0):
        self.m, self.np, self.spec, self.kind, self.at = mujoco, np, spec, kind, at
        self.model = mujoco.MjModel.from_xml_string(model_xml(spec))
        self.data = mujoco.MjData(self.model)
        self.rng = np.random.default_rng(seed)
        self.pendulum = spec["scene"] == "pendulum"
        if self.pendulum:
            self.data.qpos[0] = spec["angle"]
        for i, ball in enumerate([] if self.pendulum else spec["balls"]):
            self.data.qvel[6 * i:6 * i + 3] = [ball["vx"], ball["vy"], ball["vz"]]
            if spec["scene"] in ("roll", "collide"):  # rolling from the start
                self.data.qvel[6 * i + 4] = ball["vx"] / spec["radius"][i]
        self.geom = [self.model.geom(f"g{i}").id for i in range(1 if self.pendulum else len(spec["balls"]))]
        self.body = int(self.rng.integers(len(self.geom)))
        self.camera = mujoco.MjvCamera()
        self.camera.lookat[:] = [0, 0, 1.75]
        self.camera.distance, self.camera.azimuth, self.camera.elevation = 4.9, 90 + spec["yaw"], -spec["pitch"]
        self.model.vis.global_.fovy = 45

    def break_law(self):
        kind, model, data = self.kind, self.model, self.data
        g, b = self.geom[self.body], self.body
        if kind == "gravity-off":
            model.opt.gravity[2] = 0
        elif kind == "gravity-reversed":
            model.opt.gravity[2] *= -1
        elif kind == "gravity-doubled":
            model.opt.gravity[2] *= 2
        elif kind == "pass-floor":
            model.geom_contype[:] = 0
            model.geom_conaffinity[:] = 0
        elif kind == "pass-through":
            for k, geom in enumerate(self.geom):  # the floor still bears both
                model.geom_contype[geom], model.geom_conaffinity[geom] = 0, 1 << k
            model.geom_contype[model.geom("floor").id] = 3
        elif kind == "vanish":
            model.geom_rgba[g, 3] = 0
        elif kind == "appear":
            model.geom_rgba[g, 3] = 1
        elif kind == "colour-change":
            others = [c for c in COLOURS if math.dist(c, model.geom_rgba[g, :3]) > .5]
            model.geom_rgba[g, :3] = others[int(self.rng.integers(len(others)))]
        elif kind == "size-change":
            scale = self.rng.choice([self.rng.uniform(.55, .7), self.rng.uniform(1.4, 1.7)])
            if not self.pendulum:
                data.qpos[7 * b + 2] += max(0, scale - 1) * model.geom_size[g, 0]
            model.geom_size[g, 0] *= scale
            model.geom_rbound[g] *= scale
        elif kind == "teleport":
            turn = self.rng.uniform(0, 2 * math.pi)
            data.qpos[7 * b] += .7 * math.cos(turn)
            data.qpos[7 * b + 2] = max(model.geom_size[g, 0], data.qpos[7 * b + 2] + .7 * math.sin(turn))
        elif kind == "sudden-stop":
            self.held = (data.qpos.copy(), b)

    def frames(self, render=True):
        """Pixels of every frame (None without render), and the balls' places in the world."""
        np, data = self.np, self.data
        renderer = self.m.Renderer(self.model, SIZE, SIZE) if render else None
        pictures, places, history = [], [], []
        self.held = None
        if self.kind == "appear":
            self.model.geom_rgba[self.geom[self.body], 3] = 0
        for t in range(FRAMES):
            if self.kind and t == self.at:
                self.break_law()
            stopped = self.kind == "frozen" and t >= self.at
            backwards = self.kind == "reversed-time" and t >= self.at
            if backwards:
                data.qpos[:] = history[max(0, 2 * (self.at - 1) - t)]
            elif t > 0 and not stopped:
                for _ in range(STEPS):
                    down = data.qvel[2] < 0 if not self.pendulum else False
                    self.m.mj_step(self.model, data)
                    if self.kind == "energy-gain" and t >= self.at:
                        if self.pendulum:
                            data.qvel[0] *= 1 + 1.2 / (FPS * STEPS)
                        elif down and data.qvel[2] > 0:  # gains at each bounce
                            data.qvel[2] *= 1.25 / self.spec["restitution"]
                    if self.held is not None:
                        q, b = self.held
                        if self.pendulum:
                            data.qpos[0], data.qvel[0] = q[0], 0
                        else:
                            data.qpos[7 * b:7 * b + 7], data.qvel[6 * b:6 * b + 6] = q[7 * b:7 * b + 7], 0
            history.append(data.qpos.copy())
            self.m.mj_forward(self.model, data)
            shown = data.geom_xpos[self.geom].copy()
            saved = data.qpos.copy()
            if self.kind == "jitter" and t >= self.at:
                data.qpos[7 * self.body:7 * self.body + 3:2] += self.rng.normal(0, .08, 2)
                self.m.mj_forward(self.model, data)
                shown = data.geom_xpos[self.geom].copy()
            places.append(shown)
            if render:
                renderer.update_scene(data, self.camera)
                pictures.append(renderer.render().copy())
            if self.kind == "jitter":
                data.qpos[:] = saved
        if renderer:
            renderer.close()
        return pictures, np.array(places)


def observable(np, kind, at, lawful, twin):
    """The twin departs from its original by more than a pixel, in the picture, within ten frames of the clip's end."""
    if kind in ("vanish", "appear", "colour-change", "size-change"):
        seen = lawful[at:at + 8, :, [0, 2]]
        return bool((np.abs(seen[..., 0]) < 1.5).all() and (seen[..., 1] > 0).all() and (seen[..., 1] < 3.3).all())
    metres_a_pixel = 2 * 4.9 * math.tan(math.radians(22.5)) / SIZE
    away = np.abs(lawful[at:FRAMES - 8] - twin[at:FRAMES - 8])[..., [0, 2]].max() / metres_a_pixel
    inside = np.abs(twin[at:at + 8, :, 0]).max() < 1.7 and twin[at:at + 8, :, 2].max() < 3.4
    return bool(away > 4 and inside)


def write(path, pictures):
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{SIZE}x{SIZE}", "-r",
               str(FPS), "-i", "-", "-c:v", "libx264", "-crf", "16", "-pix_fmt", "yuv420p", "-threads", "1", path]
    subprocess.run(command, input=b"".join(p.tobytes() for p in pictures), check=True)


def make(arguments):
    os.environ.setdefault("MUJOCO_GL", "osmesa")
    import mujoco
    import numpy as np
    os.makedirs(arguments.dir, exist_ok=True)
    labels = []
    index = 0
    while index < arguments.count:
        rng = np.random.default_rng([arguments.seed, index])
        scene = SCENES[index % len(SCENES)]
        spec = draw_spec(scene, rng)
        lawful = Run(mujoco, np, spec)
        _, places = lawful.frames(render=False)
        kind, at = None, 0
        for _ in range(40):  # until a break shows
            kind, at = str(rng.choice(KINDS[scene])), int(rng.integers(10, FRAMES - 18))
            twin = Run(mujoco, np, spec, kind, at, seed=index)
            if observable(np, kind, at, places, twin.frames(render=False)[1]):
                break
            kind = None
        for name, run in (("lawful", Run(mujoco, np, spec)),
                          (kind, kind and Run(mujoco, np, spec, kind, at, seed=index))):
            if name is None:
                continue
            path = f"{index:03d}-{scene}-{name}.mp4"
            write(os.path.join(arguments.dir, path), run.frames()[0])
            labels.append({"file": path, "scene": scene, "kind": name, "frame": at if name != "lawful" else -1})
        index += 1
        with open(os.path.join(arguments.dir, "labels.json"), "w") as file:
            json.dump(labels, file, indent=1)
        print(f"\r{index} of {arguments.count}", end="", file=sys.stderr, flush=True)
    print(f"\n{len(labels)} clips", file=sys.stderr)


def area(clean, broken):
    pairs = [(c, b) for c in clean for b in broken]
    return sum(1.0 if b > c else .5 if b == c else 0.0 for c, b in pairs) / max(1, len(pairs))


def score(arguments):
    labels = {row["file"]: row for row in json.load(open(os.path.join(arguments.dir, "labels.json")))}
    out = subprocess.run([arguments.orrery, "score", "physics", "--json", arguments.dir], capture_output=True, text=True)
    if out.returncode not in (0, 3):
        sys.exit(out.stderr)
    clean, kinds, scenes, high, named, judged = [], {}, {}, 0, 0, 0
    for clip in json.loads(out.stdout)["clips"]:
        row = labels[os.path.basename(clip["file"])]
        laws = [law for law in clip["laws"] if law["applies"]]
        # A clip that nothing can be said about counts as lawful.
        severity = max((law["severity"] for law in laws), default=0.0)
        worst = max(laws, key=lambda law: min(law["severity"], 3), default=None)
        if arguments.list:
            print(row["file"], row["frame"], f"{severity:.2f}", worst and worst["law"], worst and worst["evidence"],
                  clip.get("reason", ""))
        scene = scenes.setdefault(row["scene"], ([], []))
        if row["kind"] == "lawful":
            clean.append(severity), scene[0].append(severity)
            high += (clip["score"] or 0) >= .9
            continue
        judged += 1
        named += worst is not None and worst["law"] in LAW_OF[row["kind"]]
        kinds.setdefault(row["kind"], []).append(severity), scene[1].append(severity)
    for kind in sorted(kinds):
        print(f"{kind:18s} n {len(kinds[kind]):4d}  AUC {area(clean, kinds[kind]):.3f}")
    for name in sorted(scenes):
        print(f"{name:18s} n {len(scenes[name][1]):4d}  AUC {area(*scenes[name]):.3f}")
    broken = [s for values in kinds.values() for s in values]
    print(f"all {len(clean)} lawful, {len(broken)} broken: AUC {area(clean, broken):.3f}, lawful at 0.9 or more "
          f"{high / max(1, len(clean)):.3f}, law named right {named / max(1, judged):.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("dir")
    making.add_argument("--count", type=int, default=130, help="lawful clips; each gets a broken twin")
    making.add_argument("--seed", type=int, default=1)
    making.set_defaults(run=make)
    scoring = commands.add_parser("score")
    scoring.add_argument("dir")
    scoring.add_argument("orrery")
    scoring.add_argument("--list", action="store_true", help="a line a clip")
    scoring.set_defaults(run=score)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
