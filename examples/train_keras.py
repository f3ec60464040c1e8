"""Classify scikit-learn's digits in Keras 3 with INDIAN.

In a clone of the repository: pip install ".[keras-tensorflow]" scikit-learn, or [keras-jax] or
[keras-torch]. The environment variable KERAS_BACKEND chooses between the backends installed.
"""

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from indian_keras import INDIAN

keras.utils.set_random_seed(0)
images, labels = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(
    images / 16, labels, test_size=0.2, random_state=0
)

model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(
    optimizer=INDIAN(learning_rate=0.1),  # instead of "sgd" or "adam"
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.fit(x_train, y_train, batch_size=32, epochs=20, verbose=2)
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"test accuracy {accuracy:.3f}")
