"""A small transformer's training step by Orrery and by PyTorch, in one run, step by step in turns.

    cmake -B build -DORRERY_BENCH=ON && ninja -C build training_step_bench
    python3 tests/bench/training_step.py build/tests/bench/training_step_bench        # torch 2.15.0

Six layers of width 256, 4 heads, a fourfold MLP, vocabulary 8,028 (8.9 million parameters), 8 x 782 tokens, AdamW with
clipping, in f32 and with bf16 products (PyTorch: autocast), PyTorch eager and compiled. Each round makes one step of
each; medians over the rounds. On a busy machine compare the processor seconds; tokens a second want an idle one.
"""
import argparse
import json
import math
import resource
import statistics
import subprocess
import time

import torch
from torch import nn
from torch.nn import functional

LAYERS, WIDTH, HEADS, VOCABULARY, BATCH, LENGTH = 6, 256, 4, 8028, 8, 782


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        q, k, v = (part.view(BATCH, LENGTH, HEADS, -1).transpose(1, 2)
                   for part in self.qkv(self.norm1(x)).chunk(3, dim=-1))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(BATCH, LENGTH, WIDTH))
        return x + self.down(functional.gelu(self.up(self.norm2(x)), approximate="tanh"))


class SmallTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY, bias=False)
        angles = torch.arange(LENGTH)[:, None] * torch.exp(torch.arange(0, WIDTH, 2) * -math.log(1e4) / WIDTH)
        self.register_buffer("positions", torch.stack([angles.sin(), angles.cos()], -1).reshape(LENGTH, WIDTH))
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, ids, targets):
        x = self.embedding(ids) + self.positions
        for block in self.blocks:
            x = block(x)
        return functional.cross_entropy(self.head(self.norm(x)).flatten(0, 1), targets)


class Torch:
    def __init__(self, bf16, compiled):
        torch.manual_seed(1)
        self.bf16 = bf16
        self.model = SmallTransformer()
        self.call = torch.compile(self.model) if compiled else self.model
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=3e-4, betas=(0.9, 0.95), weight_decay=0.05)
        ids = torch.randint(0, VOCABULARY, (BATCH * LENGTH + 1,), generator=torch.Generator().manual_seed(2))
        self.ids, self.targets = ids[:-1].view(BATCH, LENGTH), ids[1:]

    def step(self):
        before, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            loss = self.call(self.ids, self.targets)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF)
        return {"seconds": seconds, "loss": loss.item(), "tokens": BATCH * LENGTH,
                "processor_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
                "faults": after.ru_minflt - before.ru_minflt}


class Orrery:
    def __init__(self, binary, dtype, threads):
        self.process = subprocess.Popen([binary, dtype, str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def step(self):
        self.process.stdin.write("1\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out (it needs a C++ compiler)")
    parser.add_argument("--dtypes", nargs="+", default=["f32", "bf16"], choices=["f32", "bf16"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    runners = {}
    for dtype in options.dtypes:
        runners["orrery", dtype] = Orrery(options.binary, dtype, options.threads)
        runners["PyTorch, eager", dtype] = Torch(dtype == "bf16", False)
        if not options.no_compile:
            runners["PyTorch, compiled", dtype] = Torch(dtype == "bf16", True)
    runs = {name: [] for name in runners}
    for number in range(options.rounds + 1):  # the first one warms up
        for name, runner in runners.items():
            result = runner.step()
            if number >= 1:
                runs[name].append(result)

    def median(name, field):
        return statistics.median(run[field] for run in runs[name])

    print(f"{'':26} tokens/s  s a step  processor s  page faults   loss")
    for name in runs:
        print(f"{name[0] + ' ' + name[1]:26} {BATCH * LENGTH / median(name, 'seconds'):8.0f} {median(name, 'seconds'):9.3f}"
              f" {median(name, 'processor_seconds'):12.3f} {median(name, 'faults'):12.0f} {runs[name][-1]['loss']:6.3f}")
    for dtype in options.dtypes:
        ours, others = ("orrery", dtype), [name for name in runs if name[0] != "orrery" and name[1] == dtype]
        ratio = {field: min(median(name, field) for name in others) / median(ours, field)
                 for field in ("seconds", "processor_seconds")}
        share = statistics.median(run["flops"] / run["seconds"] / run["ceiling_flops"] for run in runs[ours])
        print(f"{dtype}: orrery over the faster PyTorch {ratio['seconds']:.2f}x by the clock, "
              f"{ratio['processor_seconds']:.2f}x by processor time; {100 * share:.0f}% of the library's own product")


if __name__ == "__main__":
    main()
