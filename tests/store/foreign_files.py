"""Files of other programs, put together here from the definitions of their formats."""

import struct

import h5py
import numpy as np


def kaldi_matrix(values):
    letter = b"F" if values.dtype == np.float32 else b"D"
    head = struct.pack("<bibi", 4, values.shape[0], 4, values.shape[1])
    return letter + b"M " + head + values.astype(values.dtype.newbyteorder("<")).tobytes()


def kaldi_vector(values):
    letter = b"F" if values.dtype == np.float32 else b"D"
    return letter + b"V " + struct.pack("<bi", 4, len(values)) + values.tobytes()


def kaldi_archive(path, arrays):
    """Binary; arrays is a mapping of names to matrices and vectors."""
    content = b"".join(
        name.encode() + b" \0B" + (kaldi_matrix if values.ndim == 2 else kaldi_vector)(values)
        for name, values in arrays.items()
    )
    path.write_bytes(content)
    return path


def kaldi_diagonal(weights, means, variances):
    """A DiagGmm in binary, as DiagGmm::Write puts it down; single precision."""
    n_dims = means.shape[1]
    constants = [
        np.log(w) - 0.5 * (n_dims * np.log(2 * np.pi) + np.log(v).sum() + (m**2 / v).sum())
        for w, m, v in zip(weights, means, variances, strict=True)
    ]
    return b"".join(
        [
            b"\0B<DiagGMM> ",
            b"<GCONSTS> " + kaldi_vector(np.array(constants, np.float32)),
            b"<WEIGHTS> " + kaldi_vector(weights.astype(np.float32)),
            b"<MEANS_INVVARS> " + kaldi_matrix((means / variances).astype(np.float32)),
            b"<INV_VARS> " + kaldi_matrix((1 / variances).astype(np.float32)),
            b"</DiagGMM> ",
        ]
    )


def htk(values, kind=9, period=100_000):
    """A parameter file of HTK, not compressed, with a checksum where the kind says so."""
    payload = values.astype(">f4").tobytes()
    head = struct.pack(">iiHH", len(values), period, 4 * values.shape[1], kind)
    return head + payload + (htk_checksum(payload) if kind & 0o10000 else b"")


def htk_checksum(payload):
    """The rule of HTK, word by word."""
    total = 0
    for place in range(0, len(payload), 2):
        total = (total * 65_536 + payload[place] * 256 + payload[place + 1]) % 36_897
    return struct.pack(">H", total)


def alize(weights, means, variances, order="<"):
    """A RAW mixture of ALIZE, with the constants that DistribGD::computeAll gives."""
    n_components, n_dims = means.shape
    content = struct.pack(f"{order}II", n_components, n_dims)
    content += struct.pack(f"{order}{n_components}d", *weights)
    for m, v in zip(means, variances, strict=True):
        det = np.prod(v)
        constant = 1 / (det**0.5 * (2 * np.pi) ** (n_dims / 2))
        content += struct.pack(f"{order}dd", constant, det) + b"\0"
        content += struct.pack(f"{order}{2 * n_dims}d", *(1 / v), *m)
    return content


def small_mixture(seed=0, n_components=3, n_dims=4):
    """Weights, means and variances of a diagonal mixture."""
    rng = np.random.default_rng(seed)
    return (
        rng.dirichlet(np.full(n_components, 5.0)),
        rng.normal(0, 2, (n_components, n_dims)),
        rng.uniform(0.1, 3, (n_components, n_dims)),
    )


def sidekit_file(path, prefix="", **changed):
    """What Mixture.write of SIDEKIT 1.4 writes: gzip and checksums on all, an empty invchol."""
    weights, means, variances = small_mixture()
    det = np.prod(variances, axis=1)
    cst = 1 / (np.sqrt(det) * (2 * np.pi) ** 2)
    arrays = {
        "w": weights,
        "mu": means,
        "invcov": 1 / variances,
        "invchol": np.empty(0),
        "cov_var_ctl": variances,
        "cst": cst,
        "det": det,
        "a": (means**2 / variances).sum(1) - 2 * (np.log(weights) + np.log(cst)),
    }
    with h5py.File(path, "w") as file:
        for name, values in (arrays | changed).items():
            file.create_dataset(prefix + name, data=values, compression="gzip", fletcher32=True)
    return path


def bob_file(path):
    """What GMMMachine.save of bob.learn.em 3.3 writes."""
    weights, means, variances = small_mixture()
    with h5py.File(path, "w") as file:
        file.attrs["file_version"] = "1.0"
        file.attrs["writer_class"] = "<class 'bob.learn.em.GMMMachine'>"
        file["n_gaussians"] = 3
        file["trainer"] = "ml"
        file["convergence_threshold"] = 1e-5
        file["max_fitting_steps"] = 200
        file["weights"] = weights
        for name in ("update_means", "update_variances", "update_weights"):
            file[name] = name == "update_means"
        gaussians = file.create_group("gaussians")
        gaussians["means"], gaussians["variances"] = means, variances
        gaussians["variance_thresholds"] = np.finfo(float).eps
    return path
