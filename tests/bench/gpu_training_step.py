"""The training step of gpu_training_step.cc in PyTorch: the same layers, for scripts/measures/gpu_compare.

    python3 gpu_training_step.py CONFIG.json BATCH LENGTH NAME [--eager] [--device cpu]

prints "NAME,PyTorch compiled,milliseconds,TFLOP/s", operations counted as there. bf16 by autocast over f32 parameters,
fused AdamW, norm clipping; attention by flex_attention (compiled) or scaled_dot_product_attention with a bias (eager);
experts by sorting their tokens and grouped_mm. Each block is compiled for itself, so that equal ones share their code.
Left out: moving the router's balancing bias. Parameters have the names of model.safetensors.
    python3 gpu_training_step.py attention HEADS LENGTH DIM
prints the time of cuDNN's dense causal attention, bf16, forward.
"""
import argparse
import json
import math
import statistics
import sys
import time
from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import AuxRequest, create_block_mask, flex_attention

WARM, LEAST, MOST, ENOUGH = 2, 5, 20, 3.0


def read_config(path):
    config = json.load(open(path))
    config.setdefault("swiglu_limit", 10.0)
    config.setdefault("routed_scaling_factor", 1.5)
    config.setdefault("video", None)
    return SimpleNamespace(**config, hca_rate=config["compress_rates"]["heavily_compressed_attention"], eps=1e-6)


def rms_norm(x, weight=None):
    return functional.rms_norm(x.float(), x.shape[-1:], weight, 1e-6).to(x.dtype)


def rope_table(theta, dim, length, step=1):
    angles = torch.arange(0, length, step)[:, None] * theta ** (-torch.arange(0, dim, 2) / dim)
    return torch.stack([angles.cos(), angles.sin()])


def rope(x, table, inverse=False):
    """Turns the interleaved pairs of the last dims of x [B, S, H, D]."""
    dim = 2 * table.shape[-1]
    cos, sin = table[0][:, None], -table[1][:, None] if inverse else table[1][:, None]
    even, odd = x[..., -dim:].float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)
    return torch.cat([x[..., :-dim], turned.to(x.dtype)], -1)


class Permuted(torch.autograd.Function):
    """Rows in another order; the gradient needs no sums."""

    @staticmethod
    def forward(ctx, x, order, inverse):
        ctx.save_for_backward(inverse)
        return x[order]

    @staticmethod
    def backward(ctx, grad):
        return grad[ctx.saved_tensors[0]], None, None


def grouped_linear(x, weight, offsets):
    """x [rows, in] in groups that end at `offsets`; weight [experts, out, in]."""
    product = getattr(functional, "grouped_mm", None) or torch._grouped_mm
    return product(x, weight.to(x.dtype).transpose(-2, -1), offs=offsets)


class HyperConnection(nn.Module):
    """mHC (kernels/api/hyper_connection.h); with `head` only what reads the streams."""

    def __init__(self, config, head=False):
        super().__init__()
        n = self.n = config.hc_mult
        prefix = "hc_" if head else ""
        width = n if head else (2 + n) * n
        self.names = [prefix + name for name in ("fn", "base", "scale")]
        for name, value in zip(self.names, (torch.empty(width, n * config.hidden_size), torch.zeros(width),
                                            torch.ones(1 if head else 3))):
            self.register_parameter(name, nn.Parameter(value))
        self.iterations, self.head = config.hc_sinkhorn_iters, head

    def forward(self, x):
        n, eps = self.n, 1e-6
        fn, base, scale = (getattr(self, name) for name in self.names)
        flat = x.flatten(1)
        mix = functional.linear(flat, fn).float() * torch.rsqrt(flat.float().square().mean(-1, keepdim=True) + eps)
        pre = torch.sigmoid(mix[:, :n] * scale[0] + base[:n]) + eps
        h = (pre[:, :, None] * x).sum(1).to(x.dtype)
        if self.head:
            return h
        post = 2 * torch.sigmoid(mix[:, n:2 * n] * scale[1] + base[n:2 * n])
        comb = torch.softmax((mix[:, 2 * n:] * scale[2] + base[2 * n:]).unflatten(1, (n, n)), -1) + eps
        comb = comb / (comb.sum(1, keepdim=True) + eps)
        for _ in range(self.iterations - 1):
            comb = comb / (comb.sum(2, keepdim=True) + eps)
            comb = comb / (comb.sum(1, keepdim=True) + eps)
        return h, post, comb

    @staticmethod
    def write(x, f, post, comb):
        mixed = (comb[..., None] * x[:, :, None].float()).sum(1)
        return (post[..., None] * f[:, None] + mixed).to(x.dtype)


class Compressor(nn.Module):
    def __init__(self, config, dim, rate):
        super().__init__()
        self.kv_proj = nn.Linear(config.hidden_size, dim, bias=False)
        self.gate_proj = nn.Linear(config.hidden_size, dim, bias=False)
        self.position_bias = nn.Parameter(torch.zeros(rate, dim))
        self.kv_norm = nn.RMSNorm(dim, 1e-6)
        self.rate = rate

    def forward(self, h):
        whole = h[:, :h.shape[1] // self.rate * self.rate]
        kv, gate = (layer(whole).unflatten(1, (-1, self.rate)) for layer in (self.kv_proj, self.gate_proj))
        share = torch.softmax(gate.float() + self.position_bias, 2)
        return rms_norm((share * kv).sum(2).to(kv.dtype), self.kv_norm.weight)


class Attention(nn.Module):
    def __init__(self, config, kind):
        super().__init__()
        c, heads, dim = config, config.num_attention_heads, config.head_dim
        self.q_a_proj = nn.Linear(c.hidden_size, c.q_lora_rank, bias=False)
        self.q_a_norm = nn.RMSNorm(c.q_lora_rank, 1e-6)
        self.q_b_proj = nn.Linear(c.q_lora_rank, heads * dim, bias=False)
        self.kv_proj = nn.Linear(c.hidden_size, dim, bias=False)
        self.kv_norm = nn.RMSNorm(dim, 1e-6)
        self.o_a_proj = nn.Linear(heads * dim // c.o_groups, c.o_groups * c.o_lora_rank, bias=False)
        self.o_b_proj = nn.Linear(c.o_groups * c.o_lora_rank, c.hidden_size, bias=False)
        self.sinks = nn.Parameter(torch.zeros(heads))
        self.heads, self.dim, self.groups = heads, dim, c.o_groups
        if kind == "heavily_compressed_attention":
            self.compressor = Compressor(c, dim, c.hca_rate)

    def attend(self, q, keys, mask):
        """q [B, H, S, D], keys [B, 1, S + E, D]: keys and values at once, beside a sink a head."""
        if not isinstance(mask, torch.Tensor):
            out, more = flex_attention(q, keys, keys, block_mask=mask, enable_gqa=True, return_aux=AuxRequest(lse=True))
            return out * torch.sigmoid(more.lse - self.sinks[:, None])[..., None].to(out.dtype)
        # The sink is a key and a value of zeros, its score a bias.
        keys = functional.pad(keys, (0, 0, 0, 1)).expand(-1, self.heads, -1, -1)
        bias = torch.zeros(mask.shape, dtype=q.dtype, device=q.device).masked_fill(~mask, -math.inf)
        sinks = self.sinks.to(q.dtype)[:, None, None].expand(-1, q.shape[2], 1)
        bias = torch.cat([bias.expand(self.heads, -1, -1), sinks], -1)
        return functional.scaled_dot_product_attention(q, keys, keys, attn_mask=bias)

    def forward(self, h, shared):
        q = rms_norm(self.q_b_proj(rms_norm(self.q_a_proj(h), self.q_a_norm.weight)).unflatten(-1, (self.heads, -1)))
        table = shared.compress_rope if hasattr(self, "compressor") else shared.main_rope
        keys = rope(rms_norm(self.kv_proj(h), self.kv_norm.weight)[:, :, None], table)
        mask = shared.window_mask
        if hasattr(self, "compressor"):
            entries = rope(self.compressor(h)[:, :, None], shared.entry_rope)
            keys, mask = torch.cat([keys, entries], 1), shared.entry_mask
        out = self.attend(rope(q, table).transpose(1, 2), keys.transpose(1, 2), mask).transpose(1, 2)
        grouped = rope(out, table, inverse=True).reshape(*h.shape[:2], self.groups, -1)
        low = torch.einsum("bsgi,goi->bsgo", grouped, self.o_a_proj.weight.unflatten(0, (self.groups, -1)))
        return self.o_b_proj(low.flatten(2))


class SwiGlu(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.moe_intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.moe_intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.moe_intermediate_size, config.hidden_size, bias=False)
        self.limit = config.swiglu_limit

    def forward(self, h):
        return self.down_proj(swiglu(self.gate_proj(h), self.up_proj(h), self.limit))


def swiglu(gate, up, limit):
    return functional.silu(gate.clamp(max=limit)) * up.clamp(-limit, limit)


class Moe(nn.Module):
    def __init__(self, config, kind):
        super().__init__()
        c = self.config = config
        self.gate = nn.Linear(c.hidden_size, c.n_routed_experts, bias=False)
        self.experts = nn.Module()
        self.experts.gate_up_proj = nn.Parameter(
            torch.empty(c.n_routed_experts, 2 * c.moe_intermediate_size, c.hidden_size))
        self.experts.down_proj = nn.Parameter(torch.empty(c.n_routed_experts, c.hidden_size, c.moe_intermediate_size))
        self.shared_experts = SwiGlu(c)
        self.hashed = kind == "hash_moe"
        if self.hashed:
            slots = torch.arange(c.vocab_size * c.num_experts_per_tok) % c.n_routed_experts
            self.gate.register_buffer("tid2eid", slots.view(c.vocab_size, -1))
        else:
            self.gate.register_buffer("e_score_correction_bias", torch.zeros(c.n_routed_experts))

    def forward(self, h, ids):
        c, tokens, count = self.config, h.shape[0], self.config.num_experts_per_tok
        with torch.autocast(h.device.type, enabled=False):
            scores = functional.softplus(functional.linear(h.float(), self.gate.weight)).sqrt()
        if self.hashed:
            chosen, balance = self.gate.tid2eid[ids.flatten()].long(), None
        else:
            chosen = (scores + self.gate.e_score_correction_bias).topk(count, -1).indices
            share = (scores / scores.sum(-1, keepdim=True)).view(*ids.shape, -1).mean(1)
            used = functional.one_hot(scores.topk(count, -1).indices, c.n_routed_experts).view(ids.shape[0], -1,
                                                                                             c.n_routed_experts).sum(1)
            balance = (share * used).sum() * (c.n_routed_experts / (count * ids.shape[1] * ids.shape[0]))
        weights = scores.gather(1, chosen)
        weights = weights / (weights.sum(-1, keepdim=True) + 1e-20) * c.routed_scaling_factor
        order = chosen.flatten().argsort(stable=True)
        inverse = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=h.device))
        ends = functional.one_hot(chosen, c.n_routed_experts).sum((0, 1)).cumsum(0).int()
        rows = Permuted.apply(h[:, None].expand(-1, count, -1).reshape(tokens * count, -1), order, inverse)
        gate, up = grouped_linear(rows, self.experts.gate_up_proj, ends).chunk(2, -1)
        routed = grouped_linear(swiglu(gate, up, c.swiglu_limit), self.experts.down_proj, ends)
        routed = Permuted.apply(routed, inverse, order).view(tokens, count, -1)
        return (routed * weights[..., None]).sum(1).to(h.dtype) + self.shared_experts(h), balance


class Block(nn.Module):
    def __init__(self, config, attention, mlp):
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden_size, 1e-6)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, 1e-6)
        self.attn_hc, self.ffn_hc = HyperConnection(config), HyperConnection(config)
        self.self_attn, self.mlp = Attention(config, attention), Moe(config, mlp)

    def forward(self, state, ids, shared):
        h, post, comb = self.attn_hc(state)
        h = rms_norm(h, self.input_layernorm.weight).view(*ids.shape, -1)
        state = HyperConnection.write(state, self.self_attn(h, shared).flatten(0, 1), post, comb)
        h, post, comb = self.ffn_hc(state)
        out, balance = self.mlp(rms_norm(h, self.post_attention_layernorm.weight), ids)
        return HyperConnection.write(state, out, post, comb), balance


class Model(nn.Module):
    """The transformer without its head, under "model.", the head, and what a video model adds to tables of ids."""

    def __init__(self, config):
        super().__init__()
        self.config, video = config, config.video
        hidden, vocab = config.hidden_size, config.vocab_size
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(vocab, hidden)
        self.model.layers = nn.ModuleList(map(lambda *kinds: Block(config, *kinds), config.layer_types,
                                              config.mlp_layer_types))
        self.model.hc_head = HyperConnection(config, head=True)
        self.model.norm = nn.RMSNorm(hidden, 1e-6)
        self.lm_head = nn.Linear(hidden, vocab, bias=False)
        if video:
            self.group = 4 + video["grid_rows"] * video["grid_columns"]
            self.model.embed_places = nn.Embedding(self.group, hidden)
            self.model.embed_recall = nn.Embedding(vocab, hidden)
            codes = torch.arange(vocab) - (vocab - video["codes"])
            digits, rest = [], codes.clamp(min=0)
            for level in video["levels"]:
                digits.append(functional.one_hot(rest % level, level))
                rest = rest // level
            self.register_buffer("digits", torch.cat(digits, 1) * (codes >= 0)[:, None].float())
            for name in ("embed_digits", "recall_digits", "head_digits"):
                self.register_parameter(name, nn.Parameter(torch.zeros(hidden, self.digits.shape[1])))

    def table(self, rows, digits):
        return rows + functional.linear(self.digits, getattr(self, digits)) if self.config.video else rows

    def embed(self, ids, recalled):
        x = functional.embedding(ids, self.table(self.model.embed_tokens.weight, "embed_digits"))
        if self.config.video:
            x = x + self.model.embed_places(torch.arange(ids.shape[1], device=ids.device) % self.group)
            x = x + functional.embedding(recalled, self.table(self.model.embed_recall.weight, "recall_digits"))
        return x.flatten(0, 1)[:, None].expand(-1, self.config.hc_mult, -1).contiguous()

    def logits(self, state):
        hidden = rms_norm(self.model.hc_head(state), self.model.norm.weight)
        return functional.linear(hidden, self.table(self.lm_head.weight, "head_digits"))

    def loss_of(self, state, targets):
        return functional.cross_entropy(self.logits(state).float(), targets)

    def run_blocks(self, ids, recalled, shared, dtype):
        state, balance = self.embed(ids, recalled).to(dtype), 0
        for block in self.model.layers:
            state, part = block(state, ids, shared)
            balance = balance if part is None else balance + part
        return state, balance

    def forward(self, ids, recalled, targets, shared):
        state, balance = self.run_blocks(ids, recalled, shared, torch.bfloat16)
        return self.loss_of(state, targets) + 1e-4 * balance

    def compile(self):
        for block in self.model.layers:
            block.compile()
        self.embed, self.loss_of = torch.compile(self.embed), torch.compile(self.loss_of)

    def active_parameters(self):
        """That a token uses, head included, tables of the input left out."""
        c = self.config
        used = c.num_experts_per_tok / c.n_routed_experts
        return sum(p.numel() * (used if ".experts." in name else 1) for name, p in self.named_parameters()
                   if not name.startswith(("model.embed", "embed_")))


def shared_tables(config, length, device, flex):
    """Rotary tables and masks: of the window, and of the window with entries after it."""
    window, rate = config.sliding_window, config.hca_rate
    entries, theta, compress_theta = length // rate, config.rope_theta, config.compress_rope_theta

    def sees(b, h, q, k):
        return torch.where(k < length, (k <= q) & (q - k < window), k - length < (q + 1) // rate)

    def mask(keys):
        if flex:
            return create_block_mask(sees, None, None, length, keys, device=device)
        return sees(0, 0, torch.arange(length, device=device)[:, None], torch.arange(keys, device=device))

    dim = config.qk_rope_head_dim
    return SimpleNamespace(
        main_rope=rope_table(theta, dim, length).to(device),
        compress_rope=rope_table(compress_theta, dim, length).to(device),
        entry_rope=rope_table(compress_theta, dim, entries * rate, rate).to(device),
        window_mask=mask(length), entry_mask=mask(length + entries))


def median_seconds(once, device):
    """Of at least 5 runs after 2, each waited for."""
    times = []
    for run in range(WARM + MOST):
        begin = time.perf_counter()
        note = once()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
        print(f"run {run}: {1e3 * times[-1]:.3f} ms {note or ''}", file=sys.stderr, flush=True)
        if run + 1 >= WARM + LEAST and sum(times[WARM:]) > ENOUGH:
            break
    return statistics.median(times[WARM:])


def measure_step(options):
    config = read_config(options.config)
    torch.manual_seed(1)
    device, batch, length = options.device, options.batch, options.length
    with torch.device(device):
        model = Model(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.02)
    model.to(device)
    # flex_attention has no backward pass on the CPU.
    shared = shared_tables(config, length, device, flex=not options.eager and device == "cuda")
    if not options.eager:
        torch._dynamo.config.recompile_limit = 32
        model.compile()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.05, fused=True)
    ids = torch.randint(0, config.vocab_size, (batch, length), device=device)
    targets = torch.cat([ids[:, 1:], torch.full_like(ids[:, :1], -100)], 1).flatten()
    group = model.group if config.video else 1
    recalled = ids[:, (torch.arange(length, device=device) + 1 - group).clamp(min=0)]

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = model(ids, recalled, targets, shared)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return f"loss {loss.item():.4f}"

    seconds = median_seconds(step, device)
    total, active = sum(p.numel() for p in model.parameters()), model.active_parameters()
    print(f"{total} parameters, {active:.0f} active", file=sys.stderr)
    by = "PyTorch eager" if options.eager else "PyTorch compiled"
    print(f"{options.name},{by},{1e3 * seconds:.3f},{6 * active * batch * length / seconds / 1e12:.1f}", flush=True)


def measure_attention(options):
    heads, length, dim = options.batch, options.length, int(options.name)
    q, k, v = (torch.randn(1, n, length, dim, device="cuda", dtype=torch.bfloat16) for n in (heads, 1, 1))
    operations = 4 * heads * dim * length * (length + 1) / 2
    # One head of keys as the product allows it, and as many copies: the faster one counts.
    for by, arguments in (("cuDNN dense with one key head", {"enable_gqa": True}),
                          ("cuDNN dense with the key head repeated", {"enable_gqa": False})):
        if not arguments["enable_gqa"]:
            k, v = (x.expand(-1, heads, -1, -1).contiguous() for x in (k, v))

        def once():
            functional.scaled_dot_product_attention(q, k, v, is_causal=True, **arguments)

        try:
            with torch.no_grad(), sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
                seconds = median_seconds(once, "cuda")
            print(f"attention forward {length},{by},{1e3 * seconds:.3f},{operations / seconds / 1e12:.1f}", flush=True)
        except RuntimeError as error:
            print(f"{by}: {error}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("config", help="config.json, or attention")
    parser.add_argument("batch", type=int, help="or heads")
    parser.add_argument("length", type=int)
    parser.add_argument("name", help="or the head's dimension")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--eager", action="store_true")
    options = parser.parse_args()
    (measure_attention if options.config == "attention" else measure_step)(options)


if __name__ == "__main__":
    main()
