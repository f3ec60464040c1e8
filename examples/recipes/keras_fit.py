"""fit with a schedule and a callback; then save the model, load it, and resume training."""

import tempfile

import keras
import numpy as np

from indian_keras import DampedAdamW

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).standard_normal((512, 8)).astype("float32")
y = x.sum(1, keepdims=True)

model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(32, "tanh"), keras.layers.Dense(1)])
# AdamW's schedule: twice ten epochs of 16 steps, 10 of them a warm-up.
schedule = keras.optimizers.schedules.CosineDecay(
    0.0, decay_steps=310, warmup_target=1e-2, warmup_steps=10
)
model.compile(optimizer=DampedAdamW(schedule), loss="mse")
stop = keras.callbacks.EarlyStopping("loss", patience=5)
model.fit(x, y, batch_size=32, epochs=10, verbose=0, callbacks=[stop])

with tempfile.TemporaryDirectory() as folder:
    model.save(f"{folder}/model.keras")
    # In another process: `import indian_keras` first, so that Keras knows the optimizer.
    again = keras.saving.load_model(f"{folder}/model.keras")
history = again.fit(x, y, batch_size=32, epochs=10, verbose=0)
print(f"loss {history.history['loss'][-1]:.3f}")
