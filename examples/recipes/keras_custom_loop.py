"""A custom training loop on the JAX backend, with a jitted, stateless step."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np

from indian_keras import DampedSGD

keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(32, "tanh"), keras.layers.Dense(1)])
optimizer = DampedSGD(0.006, momentum=0.9, damping=0.3)
optimizer.build(model.trainable_variables)


def loss_of(trainable, fixed, x):
    outputs, fixed = model.stateless_call(trainable, fixed, x)
    return ((outputs - x.sum(1, keepdims=True)) ** 2).mean(), fixed


@jax.jit
def step(trainable, fixed, state, x):
    (loss, fixed), gradients = jax.value_and_grad(loss_of, has_aux=True)(trainable, fixed, x)
    trainable, state = optimizer.stateless_apply(state, gradients, trainable)
    return trainable, fixed, state, loss


trainable = [v.value for v in model.trainable_variables]
fixed = [v.value for v in model.non_trainable_variables]
state = [v.value for v in optimizer.variables]
random = np.random.default_rng(0)
for _ in range(300):
    x = random.standard_normal((64, 8)).astype("float32")
    trainable, fixed, state, loss = step(trainable, fixed, state, x)
print(f"loss {float(loss):.3f}")
