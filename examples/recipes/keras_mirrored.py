"""Several devices under TensorFlow's MirroredStrategy. Here they are two virtual CPUs."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

from indian_keras import DampedSGD

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).standard_normal((512, 8)).astype("float32")
with strategy.scope():
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(32, "tanh"), keras.layers.Dense(1)]
    )
    model.compile(DampedSGD(0.006, momentum=0.9, damping=0.3), loss="mse")
history = model.fit(x, x.sum(1, keepdims=True), batch_size=64, epochs=20, verbose=0)
print(f"loss {history.history['loss'][-1]:.3f}")
