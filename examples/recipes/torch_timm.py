"""timm: two entries in its registry of optimizers, and timm's own weight-decay filter."""

import timm
import torch
from timm.optim import OptimInfo, create_optimizer_v2
from timm.optim._optim_factory import default_registry  # what create_optimizer_v2 reads
from timm.scheduler import CosineLRScheduler
from torch import nn

from indian_torch import DampedAdamW, DampedSGD

defaults = {"damping": 0.3}
adamw = OptimInfo("dampedadamw", DampedAdamW, has_betas=True, defaults=defaults)
sgd = OptimInfo("dampedsgd", DampedSGD, has_eps=False, has_momentum=True, defaults=defaults)
for info in (adamw, sgd):
    default_registry.register(info)


def train(name, steps=150, **options):
    torch.manual_seed(0)
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=16, patch_size=8, depth=2, num_classes=3
    )
    # Biases, norms and the parameters that the model names get no weight decay.
    optimizer = create_optimizer_v2(model, name, weight_decay=0.05, **options)
    scheduler = CosineLRScheduler(optimizer, t_initial=steps, warmup_t=10, t_in_epochs=False)
    for step in range(steps):
        scheduler.step_update(step)
        images, labels = torch.randn(32, 3, 16, 16), torch.randint(3, (32,))
        images[torch.arange(32), labels] += 1  # one of the colours is brighter
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


losses = {
    "dampedadamw": train("dampedadamw", lr=1e-3, betas=(0.9, 0.999)),
    "dampedsgd": train("dampedsgd", lr=0.01, momentum=0.9),
}
print(losses)
print(f"loss {max(losses.values()):.3f}")
