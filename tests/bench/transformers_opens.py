"""Folders that `orrery convert` wrote, opened by transformers: logits and tensors must be those they came from.

    python3 tests/bench/transformers_opens.py build/apps/orrery/orrery     # transformers 5.23.0, torch 2.15.0

transformers writes a random tiny model, orrery reads it and writes it under both namings, transformers reads these.
In f32 the logits must be the same bits; in bf16 every tensor must be the original or the original rounded.
Exits with 1 when one is not, or a name is missing or unexpected.
"""
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "fixtures" / "deepseek_v4"))

import make
import torch
from transformers import AutoModelForCausalLM, DeepseekV4ForCausalLM


def check(orrery, name, layers, mlps, rates, window, heads, hc, length, extra):
    generator = torch.Generator().manual_seed(3000)
    model = DeepseekV4ForCausalLM(make.config_of(layers, mlps, rates, window, heads, hc, extra)).float().eval()
    make.randomise(model, generator)
    ids = torch.randint(0, 64, (2, length), generator=generator)
    expected = model(ids, use_cache=False).logits.detach()
    good = True
    with tempfile.TemporaryDirectory() as work:
        model.save_pretrained(f"{work}/theirs")
        for names in ("transformers", "released"):
            for weights in ("f32", "bf16"):
                ours = f"{work}/{names}-{weights}"
                subprocess.run([orrery, "convert", f"{work}/theirs", ours, "--weights", weights, "--names", names],
                               check=True)
                opened, report = AutoModelForCausalLM.from_pretrained(ours, output_loading_info=True,
                                                                      attn_implementation="eager")
                faults = [f"{kind}: {sorted(found)}" for kind, found in report.items() if found]
                if weights == "f32":
                    found = opened.eval()(ids, use_cache=False).logits.detach()
                    if not torch.equal(found, expected):
                        faults.append(f"logits differ by {(found - expected).abs().max()}")
                for key, value in model.state_dict().items():
                    held = opened.state_dict()[key].to(value.dtype)
                    rounded = value.bfloat16().to(value.dtype) if weights == "bf16" else value
                    if not torch.equal(held, value) and not torch.equal(held, rounded):
                        faults.append(f"{key} differs")
                good &= not faults
                print(f"{name:12} {names:12} {weights:4} {'; '.join(faults) or 'the same'}")
    return good


if __name__ == "__main__":
    results = [check(sys.argv[1], *case) for case in make.CASES]
    sys.exit(0 if all(results) else 1)
