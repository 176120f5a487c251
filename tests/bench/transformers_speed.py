"""Orrery and transformers on the same weights, in one run: greedy tokens a second at batch 1, and a training step.

    python3 tests/bench/transformers_speed.py build/apps/orrery/orrery          # transformers 5.23.0, torch 2.15.0

Orrery writes a model of 30 million random parameters (decode_30m.json), transformers opens it. Both decode with their
caches behind the same number of tokens, each in the weights' format that is fastest for it: torch in f32 and bf16,
orrery in bf16 and int8. The training step is forward, next-token loss and backward, without an optimiser. Medians; the
two take turns, so that a busy machine hits both. Prints a table; needs an idle machine to mean anything.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import torch
import transformers
from transformers import AutoModelForCausalLM


def orrery(options, *arguments):
    command = [options.orrery, "--json", "--threads", options.threads, "bench", "decode", *arguments]
    return json.loads(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)


def decode_seconds(model, context, tokens):
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, model.config.vocab_size, (1, context), generator=generator)
    seconds = []
    with torch.inference_mode():
        out = model(ids, use_cache=True)
        for _ in range(tokens):
            token = out.logits[:, -1].argmax(-1, keepdim=True)
            begin = time.perf_counter()
            out = model(token, past_key_values=out.past_key_values, use_cache=True)
            seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def step_seconds(model, batch, length, steps):
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, model.config.vocab_size, (batch, length + 1), generator=generator)
    seconds = []
    for _ in range(steps + 1):
        begin = time.perf_counter()
        logits = model(ids[:, :-1], use_cache=False).logits
        torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten()).backward()
        seconds.append(time.perf_counter() - begin)
        model.zero_grad(set_to_none=True)
    return min(seconds[1:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("orrery")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.logging.disable_progress_bar()
    config = pathlib.Path(__file__).parent / "decode_30m.json"
    with tempfile.TemporaryDirectory() as folder:
        common = ["--contexts", options.context, "--tokens", options.tokens]
        orrery(options, "--config", config, "--save", folder, "--tokens", 1)
        ours, theirs = {"bf16": [], "int8": []}, {"f32": [], "bf16": []}
        for _ in range(options.rounds):
            for weights in ours:
                ours[weights].append(orrery(options, "--config", config, "--weights", weights, *common))
            for name, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16)):
                model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
                theirs[name].append(decode_seconds(model, options.context, options.tokens))
        print(f"{'':28} tokens/s at batch 1, context {options.context}")
        for weights, runs in ours.items():
            token = statistics.median(run["rows"][0]["token_s"] for run in runs)
            share = statistics.median(run["reading_s"] for run in runs) / token
            print(f"{'orrery ' + weights:28} {1 / token:8.1f}   {100 * share:.0f}% of reading the weights alone")
            ours[weights] = token
        for name, runs in theirs.items():
            theirs[name] = statistics.median(runs)
            print(f"{'transformers ' + name:28} {1 / theirs[name]:8.1f}")
        print(f"orrery bf16 over the faster transformers: {min(theirs.values()) / ours['bf16']:.1f}x; "
              f"int8 over bf16: {ours['bf16'] / ours['int8']:.2f}x\n")
        print(f"{'':28} ms a training step of {options.batch} x {options.length}")
        for name, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16)):
            step = orrery(options, "--config", config, "--weights", name, "--train-batch", options.batch,
                          "--train-length", options.length)["train_step_s"]
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).train()
            with torch.autocast("cpu", dtype=dtype, enabled=name == "bf16"):
                other = step_seconds(model, options.batch, options.length, 3)
            print(f"{name:28} orrery {1e3 * step:.0f}, transformers {1e3 * other:.0f}: {other / step:.2f}x")


if __name__ == "__main__":
    main()
