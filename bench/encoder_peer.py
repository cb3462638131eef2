#!/usr/bin/env python3
"""The sentence encoder's yardstick: the same weights in ONNX Runtime, tokenized by Hugging Face's tokenizers.

usage: encoder_peer.py vectors FOLDER TEXTS.json OUT.f32        one text at a time: the reference
       encoder_peer.py tokens  FOLDER TEXTS.json                JSON array of token ids a text
       encoder_peer.py speed   FOLDER TEXTS.json BATCH THREADS SECONDS
                                                                texts a second and the best call's time, as JSON

FOLDER holds model.safetensors and tokenizer.json as they were published. Needs numpy, onnx, onnxruntime, safetensors
and tokenizers: a peer to measure beside, never a part of Parley. The graph is made of ONNX Runtime's own fused
operators, which is what its optimizer makes of an exported model.
"""
import json
import os
import sys
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from tokenizers import Tokenizer

LAYERS, HEADS, MAX_TOKENS, EPSILON = 6, 12, 256, 1e-12


def graph(folder):
    weights = load_file(os.path.join(folder, "model.safetensors"))
    nodes, constants = [], []

    def constant(name, array):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array, dtype=np.float32), name))
        return name

    def take(name):
        return constant(name, weights[name])

    def node(kind, inputs, output, **attributes):
        own = {} if kind == "MatMul" else {"domain": "com.microsoft"}
        outputs = output if isinstance(output, list) else [output]
        nodes.append(helper.make_node(kind, inputs, outputs, **own, **attributes))
        return outputs[0]

    def norm(value, residual, prefix, bias, output):
        return node("SkipLayerNormalization",
                    [value, residual, take(prefix + ".LayerNorm.weight"), take(prefix + ".LayerNorm.bias"), bias],
                    output, epsilon=EPSILON)

    start = "embeddings."
    node("EmbedLayerNormalization",
         ["ids", "types", take(start + "word_embeddings.weight"), take(start + "position_embeddings.weight"),
          take(start + "token_type_embeddings.weight"), take(start + "LayerNorm.weight"),
          take(start + "LayerNorm.bias"), "mask"], ["x", "mask_index"], epsilon=EPSILON)
    x = "x"
    for layer in range(LAYERS):
        at = "encoder.layer.%d." % layer
        qkv = [at + "attention.self." + part for part in ("query", "key", "value")]
        packed = constant(at + "qkv", np.concatenate([weights[p + ".weight"].T for p in qkv], axis=1))
        bias = constant(at + "qkv_bias", np.concatenate([weights[p + ".bias"] for p in qkv]))
        a = node("Attention", [x, packed, bias, "mask_index"], at + "a", num_heads=HEADS)
        out = at + "attention.output"
        o = node("MatMul", [a, constant(at + "o", weights[out + ".dense.weight"].T)], at + "ao")
        y = norm(o, x, out, take(out + ".dense.bias"), at + "y")
        up = at + "intermediate.dense"
        h = node("MatMul", [y, constant(at + "u", weights[up + ".weight"].T)], at + "h")
        g = node("BiasGelu", [h, take(up + ".bias")], at + "g")
        d = node("MatMul", [g, constant(at + "d", weights[at + "output.dense.weight"].T)], at + "dd")
        x = norm(d, y, at + "output", take(at + "output.dense.bias"), at + "x")
    whole = ["batch", "length"]
    made = helper.make_graph(
        nodes, "encoder",
        [helper.make_tensor_value_info(n, TensorProto.INT32, whole) for n in ("ids", "types", "mask")],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, whole + [384])], constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17),
                                                   helper.make_opsetid("com.microsoft", 1)], ir_version=8)
    return onnx.load_from_string(model.SerializeToString()).SerializeToString()


class Encoder:
    def __init__(self, folder, threads):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(graph(folder), options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        self.tokenizer.enable_truncation(MAX_TOKENS)
        self.tokenizer.no_padding()

    def tokens(self, texts):
        return [each.ids for each in self.tokenizer.encode_batch(texts)]

    def run(self, rows):
        ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int32)
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, :len(row)] = row
            mask[i, :len(row)] = 1
        hidden = self.session.run(None, {"ids": ids, "types": np.zeros_like(ids), "mask": mask})[0]
        weight = mask[:, :, None].astype(np.float32)
        mean = (hidden * weight).sum(axis=1) / weight.sum(axis=1)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def speed(folder, texts, batch, threads, seconds):
    encoder = Encoder(folder, threads)
    batches = [texts[i:i + batch] for i in range(0, len(texts), batch)]
    encoder.run(encoder.tokens(batches[0]))
    done = 0
    best = float("inf")
    began = time.monotonic()
    while time.monotonic() - began < seconds or done == 0:
        for each in batches:
            at = time.monotonic()
            encoder.run(encoder.tokens(each))
            best = min(best, time.monotonic() - at)
            done += len(each)
    took = time.monotonic() - began
    return {"texts_per_s": done / took, "best_call_ms": best * 1000}


def main():
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    kind, folder, texts = sys.argv[1], sys.argv[2], json.load(open(sys.argv[3]))
    if kind == "vectors":
        encoder = Encoder(folder, 1)
        np.concatenate([encoder.run([row]) for row in encoder.tokens(texts)]).astype("<f4").tofile(sys.argv[4])
    elif kind == "tokens":
        print(json.dumps(Encoder(folder, 1).tokens(texts)))
    elif kind == "speed":
        batch, threads, seconds = int(sys.argv[4]), int(sys.argv[5]), float(sys.argv[6])
        print(json.dumps(speed(folder, texts, batch, threads, seconds)))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
