"""Hugging Face: Accelerate's loop, and Trainer with `optimizer_cls_and_kwargs` and `optimizers`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from accelerate import Accelerator

from indian_torch import INDIAN, DampedAdamW, PowerDecayLR

pytestmark = pytest.mark.filterwarnings("ignore")  # both advise and deprecate a lot


class Regression(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(4, 1)

    def forward(self, inputs: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        outputs = self.layer(inputs)
        return {"loss": (outputs - labels).square().mean(), "logits": outputs}


def samples() -> list[dict[str, torch.Tensor]]:
    inputs = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
    return [{"inputs": row, "labels": row.sum(0, keepdim=True)} for row in inputs]


def by_hand(batch_size: int, accumulate: int = 1) -> torch.Tensor:
    model = Regression()
    optimizer = INDIAN(model.parameters(), lr=0.1)
    scheduler = PowerDecayLR(optimizer)
    for i, batch in enumerate(torch.utils.data.DataLoader(samples(), batch_size=batch_size)):
        (model(**batch)["loss"] / accumulate).backward()
        if (i + 1) % accumulate == 0:
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
    return model.layer.weight


def test_accelerate_with_gradient_accumulation(tmp_path: Path) -> None:
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    model = Regression()
    optimizer = INDIAN(model.parameters(), lr=0.1)
    scheduler = PowerDecayLR(optimizer)
    loader = torch.utils.data.DataLoader(samples(), batch_size=4)
    model, optimizer, loader, scheduler = accelerator.prepare(model, optimizer, loader, scheduler)
    for batch in loader:
        with accelerator.accumulate(model):
            accelerator.backward(model(**batch)["loss"])
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
    torch.testing.assert_close(model.layer.weight, by_hand(4, accumulate=2))
    # Its checkpoints bring the optimizer back.
    accelerator.save_state(str(tmp_path))
    param = next(iter(optimizer.optimizer.state))
    psi = optimizer.optimizer.psi(param)
    optimizer.optimizer.set_psi(param, torch.zeros_like(param))
    accelerator.load_state(str(tmp_path))
    param = next(iter(optimizer.optimizer.state))
    torch.testing.assert_close(optimizer.optimizer.psi(param), psi)


def arguments(folder: Path, **options: Any) -> transformers.TrainingArguments:
    return transformers.TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,
        per_device_train_batch_size=4,
        learning_rate=0.1,
        max_grad_norm=0.0,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        **options,
    )


class InOrder(transformers.Trainer):
    """Trainer without shuffling, so that a plain loop can be held against it."""

    def get_train_dataloader(self) -> Any:
        return torch.utils.data.DataLoader(samples(), batch_size=4)


def test_trainer_with_an_optimizer_and_a_scheduler(tmp_path: Path) -> None:
    model = Regression()
    optimizer = INDIAN(model.parameters(), lr=0.1)
    trainer = InOrder(
        model,
        arguments(tmp_path, save_strategy="no"),
        train_dataset=samples(),
        optimizers=(optimizer, PowerDecayLR(optimizer)),
    )
    trainer.train()
    torch.testing.assert_close(model.layer.weight, by_hand(4))


@pytest.mark.parametrize(
    "optimizer", [(INDIAN, {"alpha": 0.4, "beta": 0.2}), (DampedAdamW, {"betas": (0.8, 0.95)})]
)
def test_trainer_with_an_optimizer_class_resumes_bit_for_bit(
    tmp_path: Path, optimizer: tuple[Any, dict[str, Any]]
) -> None:
    method, numbers = optimizer

    def start() -> InOrder:
        return InOrder(
            Regression(),
            arguments(tmp_path, save_strategy="steps", save_steps=4, lr_scheduler_type="cosine"),
            train_dataset=samples(),
            optimizer_cls_and_kwargs=(method, {"lr": 0.1, **numbers}),
        )

    unbroken = start()
    unbroken.train()
    assert numbers.items() <= unbroken.optimizer.optimizer.param_groups[0].items()
    resumed = start()
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert torch.equal(resumed.model.layer.weight, unbroken.model.layer.weight)
