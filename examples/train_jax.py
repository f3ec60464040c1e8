"""Classify scikit-learn's digits in JAX with INDIAN.

In a clone of the repository: pip install ".[optax]" scikit-learn
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from indian_optax import indian

images, labels = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(
    images / 16, labels, test_size=0.2, random_state=0
)


def model(params, x):
    (w1, b1), (w2, b2) = params
    return jax.nn.relu(x @ w1 + b1) @ w2 + b2


def loss_of(params, x, y):
    return optax.softmax_cross_entropy_with_integer_labels(model(params, x), y).mean()


@jax.jit
def step(params, state, x, y):
    loss, gradients = jax.value_and_grad(loss_of)(params, x, y)
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates), state, loss


keys = jax.random.split(jax.random.key(0))
draw = jax.nn.initializers.he_normal()
params = [
    (draw(keys[0], (64, 128)), jnp.zeros(128)),
    (draw(keys[1], (128, 10)), jnp.zeros(10)),
]
optimizer = indian(learning_rate=0.1)  # instead of optax.sgd or optax.adam
state = optimizer.init(params)

random = np.random.default_rng(0)
for epoch in range(20):
    for batch in random.permutation(len(x_train))[: len(x_train) // 32 * 32].reshape(-1, 32):
        params, state, loss = step(params, state, x_train[batch], y_train[batch])
    accuracy = (model(params, x_test).argmax(axis=1) == y_test).mean()
    print(f"epoch {epoch + 1:2}  loss {loss:.4f}  test accuracy {accuracy:.3f}")
