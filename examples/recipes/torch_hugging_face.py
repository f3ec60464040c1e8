"""Hugging Face's Trainer: the optimizer's class and its arguments."""

import tempfile

import torch
from torch import nn
from transformers import Trainer, TrainingArguments

from indian_torch import DampedAdamW


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))

    def forward(self, x, labels):
        outputs = self.layers(x)
        return {"loss": (outputs - labels).square().mean(), "logits": outputs}


torch.manual_seed(0)
x = torch.randn(2048, 8)
samples = [{"x": row, "labels": row.sum(0, keepdim=True)} for row in x]
with tempfile.TemporaryDirectory() as folder:
    options = TrainingArguments(
        folder,
        per_device_train_batch_size=32,
        num_train_epochs=5,
        lr_scheduler_type="cosine",
        warmup_steps=20,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = Trainer(
        Network(),
        options,
        train_dataset=samples,
        # AdamW's own arguments. The learning rate and the schedule are AdamW's too.
        optimizer_cls_and_kwargs=(DampedAdamW, {"lr": 1e-2, "betas": (0.9, 0.999)}),
    )
    trainer.train()
    loss = trainer.model(x, x.sum(1, keepdim=True))["loss"]
print(f"loss {loss.item():.3f}")
