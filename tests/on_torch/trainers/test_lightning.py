"""Lightning: automatic optimization with a schedule, a checkpoint, and a run resumed from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import pytest
import torch

from indian_torch import INDIAN, PowerDecayLR

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning advises and deprecates a lot


class Regression(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(4, 1, dtype=torch.float64)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        (inputs,) = batch
        return (self.layer(inputs) - inputs.sum(1, keepdim=True)).square().mean()

    def configure_optimizers(self) -> Any:
        optimizer = INDIAN(self.parameters(), lr=0.1)
        scheduler = {"scheduler": PowerDecayLR(optimizer), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": scheduler}


def batches() -> torch.utils.data.DataLoader[Any]:
    inputs = torch.randn(32, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(inputs), batch_size=8)


def fit(folder: Path, epochs: int, checkpoint: Path | None = None) -> lightning.Trainer:
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=100.0,
    )
    trainer.fit(Regression(), batches(), ckpt_path=checkpoint)
    return trainer


def by_hand(epochs: int) -> torch.nn.Module:
    model = Regression()
    configured = model.configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    for _ in range(epochs):
        for k, batch in enumerate(batches()):
            optimizer.zero_grad()
            model.training_step(batch, k).backward()
            optimizer.step()
            scheduler.step()
    return model


def test_lightning_makes_the_steps_of_a_plain_loop_and_resumes(tmp_path: Path) -> None:
    expected = by_hand(4).layer.weight
    unbroken = fit(tmp_path, epochs=4)
    torch.testing.assert_close(unbroken.lightning_module.layer.weight, expected)
    broken = fit(tmp_path, epochs=2)
    broken.save_checkpoint(tmp_path / "half.ckpt")
    resumed = fit(tmp_path, epochs=4, checkpoint=tmp_path / "half.ckpt")
    torch.testing.assert_close(
        resumed.lightning_module.layer.weight,
        unbroken.lightning_module.layer.weight,
        rtol=0,
        atol=0,
    )
