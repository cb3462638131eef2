/*
 * minilm_samples.h - sentences that show how far the numbers inside the encoder reach
 *
 * Short and long, plain and odd, as customers and documents write; ended by NULL.
 */
#ifndef PARLEY_EMBED_DRIVERS_MINILM_SAMPLES_H
#define PARLEY_EMBED_DRIVERS_MINILM_SAMPLES_H

extern const char *const minilm_samples[];

#endif
