"""Classify scikit-learn's digits in PyTorch with INDIAN.

In a clone of the repository: pip install ".[torch]" scikit-learn
"""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from indian_torch import INDIAN

torch.manual_seed(0)
images, labels = load_digits(return_X_y=True)
split = train_test_split(images / 16, labels, test_size=0.2, random_state=0)
x_train, x_test, y_train, y_test = map(torch.from_numpy, split)
x_train, x_test = x_train.float(), x_test.float()

model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
optimizer = INDIAN(model.parameters(), lr=0.1)  # instead of torch.optim.SGD or Adam

for epoch in range(20):
    for batch in torch.randperm(len(x_train)).split(32):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x_train[batch]), y_train[batch])
        loss.backward()
        optimizer.step()
    accuracy = (model(x_test).argmax(dim=1) == y_test).float().mean().item()
    print(f"epoch {epoch + 1:2}  loss {loss.item():.4f}  test accuracy {accuracy:.3f}")
