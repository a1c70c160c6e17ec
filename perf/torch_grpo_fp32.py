#!/usr/bin/env python3
"""The peers' GRPO step (trl_grpo.py of ../shared/peers) with AdamW's moments in fp32, as strata has them.

torch makes moments in the type of the parameters, so the step as it stands, all in bf16, has bf16 moments. Two ways out:
  autocast  what trainers do with bf16=True: parameters, reference and gradients are fp32, products are bf16
  moments   parameters and gradients stay bf16, an AdamW written for it keeps fp32 moments (and no masters)

usage: torch_grpo_fp32.py PEERS autocast|moments [options of trl_grpo.py]
"""
import os
import runpy
import sys

peers, way = sys.argv[1:3]
if way not in ("autocast", "moments"):
    sys.exit(__doc__)
sys.path.insert(0, peers)
import peerlib  # noqa: E402  before torch: its options() sets the threads

sys.argv = [os.path.join(peers, "trl_grpo.py"), *sys.argv[3:], "--impl", "torch"]
if way == "autocast":
    sys.argv += ["--dtype", "float32"]
make_options, make_model = peerlib.options, peerlib.load
PIECE = 1 << 22  # values at once, so that temporaries of a large tensor do not decide the peak


def fp32_moments():
    import torch

    class AdamW(torch.optim.Optimizer):
        def __init__(self, parameters, lr, weight_decay=0.01, betas=(0.9, 0.999), eps=1e-8):
            super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "betas": betas, "eps": eps})

        @torch.no_grad()
        def step(self):
            for group in self.param_groups:
                (beta1, beta2), lr = group["betas"], group["lr"]
                for p in group["params"]:
                    state = self.state[p]
                    if not state:
                        state.update(t=0, m=torch.zeros(p.numel()), v=torch.zeros(p.numel()))
                    state["t"] += 1
                    root = (1 - beta2 ** state["t"]) ** 0.5
                    rate = lr / (1 - beta1 ** state["t"])
                    pieces = (x.view(-1).split(PIECE) for x in (p, p.grad, state["m"], state["v"]))
                    for weight, gradient, m, v in zip(*pieces):
                        g = gradient.float()
                        m.lerp_(g, 1 - beta1)
                        v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
                        change = m / (v.sqrt() / root).add_(group["eps"])
                        weight.copy_(weight.float().mul_(1 - lr * group["weight_decay"]).sub_(change, alpha=rate))

    torch.optim.AdamW = AdamW


def options(task, **extra):
    a = make_options(task, **extra)
    if way == "moments":
        fp32_moments()
    return a


def load(a, *args, **kw):
    import torch

    model, processor = make_model(a, *args, **kw)
    if way == "autocast":  # of the class: the reference is a copy of the object
        kind = type(model)
        kind.forward = torch.autocast("cpu", dtype=torch.bfloat16)(kind.forward)
    return model, processor


peerlib.options, peerlib.load = options, load
runpy.run_path(sys.argv[0], run_name="__main__")
