"""What fits on devices, and how fast it should be there.

    memory        Fit: weights, KV cache, activations and overhead per device; the smallest TP x PP; the largest batch
    engines       what a serving engine takes of a device beside weights and KV cache, with its settings as shipped
    roofline      time of one prefill or decode step, term by term: compute, memory, interconnect, overhead
    coefficients  what share of its peaks an accelerator reaches, fitted on measurements, with the error of the fit
    fitting       coefficients from measured decode steps
    estimate      Estimate: TTFT, ITL and throughput against concurrency, the physical limit, and what binds
    curve         a monotone load curve, of measurements where there are any, else of an estimate marked as such

A `ModelArchitecture` and an `Accelerator` go in, values come out; nothing here does I/O but to read the
coefficients that the package ships (`data/coefficients.csv`).
"""
