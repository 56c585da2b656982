"""Batch normalisation of images, channel by channel, so that the second pass reads from the L2 cache."""

from __future__ import annotations

import numpy as np

from tickets.stack.kernels.compiled import compiled, compiled_for_sums


@compiled
def normalise(images, weights, biases, epsilon, outputs, means, variances):
    """Write (image - mean) / sqrt(variance + epsilon) * weight + bias, and the mean and variance of each channel.

    images, outputs: (n, channels, pixels). weights, biases, means, variances: (channels,); the last two are float64,
    and the variance is the biased one. epsilon: a float.
    """
    real, (examples, channels, pixels) = images.dtype.type, images.shape
    for c in range(channels):
        total = 0.0
        for n in range(examples):
            total += _sum(images[n, c])
        means[c], total = total / (examples * pixels), 0.0
        for n in range(examples):
            total += _squares(images[n, c], means[c])
        variances[c] = total / (examples * pixels)
        mean, scale, shift = real(means[c]), real(weights[c] / np.sqrt(variances[c] + epsilon)), biases[c]
        for n in range(examples):
            read, into = images[n, c], outputs[n, c]
            for k in range(pixels):
                into[k] = (read[k] - mean) * scale + shift


@compiled
def normalise_back(images, slopes, weights, epsilon, means, variances, image_slopes, by_weight, by_bias):
    """Write the gradients by the inputs of `normalise`, given the means and variances that it wrote.

    slopes: gradients by its outputs; image_slopes: by its images; both (n, channels, pixels). by_weight, by_bias:
    (channels,).
    """
    real, (examples, channels, pixels) = images.dtype.type, images.shape
    count = examples * pixels
    for c in range(channels):
        mean, root = real(means[c]), 1 / np.sqrt(variances[c] + epsilon)
        total, along = 0.0, 0.0
        for n in range(examples):
            one, other = _slopes_and_products(slopes[n, c], images[n, c], means[c])
            total += one
            along += other
        by_bias[c], by_weight[c] = total, along * root
        scale, share, tilt = real(weights[c] * root), real(total / count), real(along * root * root / count)
        for n in range(examples):
            read, slope, into = images[n, c], slopes[n, c], image_slopes[n, c]
            for k in range(pixels):
                into[k] = (slope[k] - share - (read[k] - mean) * tilt) * scale


@compiled_for_sums
def _sum(values):
    total = 0.0
    for k in range(len(values)):
        total += values[k]
    return total


@compiled_for_sums
def _squares(values, mean):
    total = 0.0
    for k in range(len(values)):
        apart = np.float64(values[k]) - mean
        total += apart * apart
    return total


@compiled_for_sums
def _slopes_and_products(slopes, values, mean):
    total, product = 0.0, 0.0
    for k in range(len(values)):
        slope = np.float64(slopes[k])
        total += slope
        product += slope * (values[k] - mean)
    return total, product
