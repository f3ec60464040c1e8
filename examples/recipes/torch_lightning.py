"""Lightning: configure_optimizers returns the optimizer and a scheduler."""

import logging
import warnings

import lightning
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader

from indian_torch import DampedAdamW

warnings.filterwarnings("ignore", module="lightning")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))

    def training_step(self, x, _):
        return (self.layers(x) - x.sum(1, keepdim=True)).square().mean()

    def configure_optimizers(self):
        optimizer = DampedAdamW(self.parameters(), lr=1e-2)
        scheduler = CosineAnnealingLR(optimizer, T_max=320)
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]


lightning.seed_everything(0, verbose=False)
x = torch.randn(2048, 8)
module = Module()
trainer = lightning.Trainer(
    max_epochs=5,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(module, DataLoader(x, batch_size=32, shuffle=True))
with torch.no_grad():
    print(f"loss {module.training_step(x, 0).item():.3f}")
