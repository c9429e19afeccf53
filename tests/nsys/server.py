"""A made-up capture of a server: encoder forwards and language model steps, without ranges of ours."""

from __future__ import annotations

from .synthetic import Database, thread

MAIN = thread(300, 1)
LAYER = [
    "rms_norm",
    "sm90_gemm_qkv",
    "flash_fwd_kernel",
    "sm90_gemm_proj",
    "rms_norm",
    "sm90_gemm_up",
    "sm90_gemm_down",
]
FULL_LAYER = [*LAYER[:2], "flash_fwd_full_kernel", *LAYER[3:]]
LM_LAYER = ["rms", "gemm_a", "reshape_and_cache_flash_kernel", "paged_attention_v1", "gemm_b", "gemm_c", "gemm_d"]


class Server:
    """Emits launches one after another; `encoder` and `decode` may be called in any order."""

    def __init__(self) -> None:
        self.database = Database()
        self.now, self.corr = 0, 0

    def kernels(self, names: list[str]) -> None:
        for name in names:
            self.database.launch(self.now, MAIN, self.corr, name=name, wait=50, runs=8)
            self.now += 10
            self.corr += 1

    def sync(self, *, read_back: bool = True) -> None:
        """A tensor read back: a small pageable copy and a stream synchronization."""
        if read_back:
            self.database.call(self.now, self.now + 3, "cudaMemcpyAsync", MAIN, self.corr)
            self.database.copy(self.now + 1, self.now + 2, MAIN, self.corr, kind=2, src=2, dst=0, size=8)
            self.corr += 1
        self.database.call(self.now + 4, self.now + 6, "cudaStreamSynchronize", MAIN, self.corr)
        self.corr += 1
        self.now += 10

    def encoder(self, layers: int = 8, *, full_every: int = 0, syncs: bool = False, name: str = "") -> None:
        begin = self.now - 1
        self.kernels(["patch_gemm", "index_select"])
        for layer in range(layers):
            if syncs:
                self.sync()
            self.kernels(FULL_LAYER if full_every and layer % full_every == full_every - 1 else LAYER)
        self.kernels(["layer_norm", "merger_gemm_1", "gelu", "merger_gemm_2"])
        if name:
            self.database.range(begin, self.now, name, MAIN)

    def decode(self, layers: int = 10) -> None:
        self.kernels(["embedding"])
        self.kernels(LM_LAYER * layers)
        self.kernels(["lm_head_gemm", "argmax"])
