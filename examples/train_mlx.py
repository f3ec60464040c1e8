"""Classify scikit-learn's digits in MLX with INDIAN.

In a clone of the repository: pip install ".[mlx]" scikit-learn
"""

import mlx.core as mx
import numpy as np
from mlx import nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from indian_mlx import INDIAN

mx.random.seed(0)
images, labels = load_digits(return_X_y=True)
split = train_test_split(images / 16, labels, test_size=0.2, random_state=0)
x_train, x_test = (mx.array(x, mx.float32) for x in split[:2])
y_train, y_test = (mx.array(y) for y in split[2:])

model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
optimizer = INDIAN(0.1)  # instead of mlx.optimizers.SGD or Adam


def loss_of(model, x, y):
    return nn.losses.cross_entropy(model(x), y, reduction="mean")


step = nn.value_and_grad(model, loss_of)
random = np.random.default_rng(0)
for epoch in range(20):
    for batch in np.array_split(random.permutation(len(y_train)), 45):
        loss, gradients = step(model, x_train[mx.array(batch)], y_train[mx.array(batch)])
        optimizer.update(model, gradients)
        mx.eval(model.parameters(), optimizer.state)
    accuracy = (model(x_test).argmax(axis=1) == y_test).mean().item()
    print(f"epoch {epoch + 1:2}  loss {loss.item():.4f}  test accuracy {accuracy:.3f}")
