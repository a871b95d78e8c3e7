"""A graph in a precision: the same network, its weights and its state in their types."""

import dataclasses

import msgspec
import torch
from torch import nn

from qwen3_tts_edge.bundle.graph_spec import StateSpec
from qwen3_tts_export.graphs.declared import Graph
from qwen3_tts_export.precision.policy import Precision


def typed(graph: Graph, precision: Precision) -> Graph:
    """Give a graph, which is float32, the types of a precision.

    What else goes in and comes out is float32 in every precision: rows and settings, samples and
    the state between the two halves of a frame. A caller need not know.
    """
    return dataclasses.replace(
        graph,
        network=lambda: with_types(graph.network(), graph.name, precision),
        states=tuple(_state(state, graph.name, precision) for state in graph.states),
    )


def with_types(network: nn.Module, graph: str, precision: Precision) -> nn.Module:
    """Give each weight of a graph's network its type, in place; what it holds is rounded to it."""
    for name, weight in network.named_parameters():
        weight.data = weight.data.to(getattr(torch, precision.of_weight(graph, name)))
    return network


def _state(state: StateSpec, graph: str, precision: Precision) -> StateSpec:
    if state.past.dtype != "float32":
        return state
    dtype = precision.of_state(graph, state.past.name)
    return msgspec.structs.replace(state, past=msgspec.structs.replace(state.past, dtype=dtype))
