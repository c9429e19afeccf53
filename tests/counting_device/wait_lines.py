"""Lines that people write, and how often the host waits in each: data for `test_wait_lines`.

There are `x` [8, 64] of floats, `f` a float, `i` [5] and `n` (3) of integers, `m` [8] a mask, `flag` [4] of integers,
all on the device; `h` [4] on the host; `e` an event.
"""

VALUES = """
float(f) | 1
complex(f) | 1
int(n) | 1
bool(n > 2) | 1
if n: pass | 1
if not n: pass | 1
if (i > 2).any(): pass | 1
if x.sum() > 0: pass | 1
if torch.isfinite(x).all(): pass | 1
while n > 3: break | 1
assert n == 3 | 1
n and 1 | 1
n or 1 | 1
0 < n < 4 | 1
if 0 < n < 4: pass | 2
3 in i | 1
n in i | 1
n in [i[0], i[1]] | 2
min(i) | 4
max(n, i[1]) | 1
max([n, n + 1, n + 2]) | 2
max(i, key=lambda v: v) | 4
sorted([n + 1, n]) | 1
any(i) | 2
all(i) | 1
sum(i) | 0
range(n) | 1
list(range(n, n + 2)) | 2
[0, 1, 2, 3][n] | 1
"ab" * n | 1
math.sqrt(n) | 1
operator.index(n) | 1
slice(n, None).indices(8) | 1
n.is_nonzero() | 1
torch.is_nonzero(n) | 1
torch.Tensor.item(n) | 1
(i[1:] - i[:-1]).max().item() | 1
torch.cumsum(i, 0)[-1].item() | 1
x.sum().item() | 1
i.tolist() | 1
x.tolist() | 1
torch.Tensor.tolist(i) | 1
i.data.tolist() | 1
[v.item() for v in i] | 5
[int(v) for v in i] | 5
list(map(int, i)) | 5
np.array([v.item() for v in i]) | 5
tuple(i) | 0
for v in i: pass | 0
len(i) | 0
n == 3 | 0
n is None | 0
hash(n) | 0
copy.deepcopy(i) | 0
f"{n}" | 1
f"{n.item()}" | 1
"%d" % n | 1
str(n) | 2
print(n) | 2
print(i) | 6
torch._assert(n == 3, "no") | 1
torch._assert_async(n == 3) | 0
torch.cond(n > 2, lambda a: a + 1, lambda a: a - 1, (x,)) | 1
torch.while_loop(lambda a: a.sum() < 12, lambda a: (a + 1,), (i,)) | 2
torch.equal(i, i + 0) | 1
torch.allclose(x, x + 1) | 1
torch.testing.assert_close(i, i + 0) | 1
"""

SHAPES = """
x[n] | 1
x[n:] | 1
x[:n] | 1
x[n:n + 1] | 2
x[i[0], i[1]] | 2
x[..., n] | 1
x[n] = 0 | 1
x[n:] = 0 | 1
x[[n, n]] | 2
x[[0, 2]] | 1
x[i] | 0
x[m] | 1
x[h] | 1
x[m] = 0 | 0
x[m] = f | 1
x[m] = x[m] | 2
i[i > 2] | 1
i[i > 2].tolist() | 2
i[n].item() | 2
h[n] | 1
h[:n] | 1
x.unbind()[n] | 1
x.select(0, n) | 1
x.index_select(0, i) | 0
x.masked_select(m[:, None]) | 1
x.masked_fill(m[:, None], f) | 1
x.masked_fill(m[:, None], 0) | 0
x.masked_scatter(m[:, None], x) | 0
x.index_fill_(0, i, f) | 1
m.nonzero() | 1
m.nonzero(as_tuple=True) | 1
torch.where(m) | 1
torch.where(m)[0].numel() | 1
torch.argwhere(m) | 1
torch.where(m, 1, 0) | 0
torch.nonzero_static(m, size=4) | 0
torch.count_nonzero(m) | 0
m.all().item() | 1
torch.repeat_interleave(i) | 2
x[:5].repeat_interleave(i, dim=0) | 2
x[:5].repeat_interleave(i, dim=0, output_size=10) | 0
x.repeat_interleave(2, dim=0) | 0
torch.unique(i) | 1
torch.unique_consecutive(i) | 1
i.unique(return_counts=True) | 1
torch.bincount(i) | 2
torch.bincount(i, minlength=5) | 2
F.one_hot(i) | 1
F.one_hot(i, 5) | 0
F.embedding(i, x) | 0
torch.searchsorted(i, i) | 0
x.split((i + 1)[:2].tolist() + [5]) | 1
x.split([n, 8 - n]) | 2
torch.split(x, n) | 1
torch.chunk(x, n) | 1
x.chunk(int(n)) | 1
x.narrow(0, n, 1) | 1
x.view(n + 1, -1) | 1
x.reshape(n + 1, -1) | 1
x.expand(n, 8, 64) | 1
x.roll(n, 0) | 1
x.topk(n) | 1
F.pad(x, (n, 0)) | 1
F.interpolate(x[None, None].float(), size=(n, n)) | 2
torch.arange(n) | 1
torch.arange(n, device="cuda") | 1
torch.zeros(n, device="cuda") | 1
torch.full((2,), n, device="cuda") | 1
torch.linspace(0, n, 5) | 1
torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij") | 2
torch.add(x, x, alpha=n) | 1
torch.clamp(i, 0, n) | 1
torch.clamp(i, max=n) | 0
i + n | 0
x * f | 0
x.clamp(max=f) | 0
x.fill_(f) | 0
x[0] = f | 0
i.max() | 0
torch.take_along_dim(x, x.argmax(1, keepdim=True), 1) | 0
torch.nn.utils.rnn.pad_sequence([i, i[:2]]) | 0
"""

COPIES = """
i.cpu() | 1
torch.Tensor.cpu(i) | 1
i.to("cpu") | 1
i.detach().cpu() | 1
x[:1].cpu() | 1
i.cpu().numpy() | 1
i.numpy(force=True) | 1
np.asarray(i.cpu()) | 1
h.copy_(i[:4]) | 1
i.to("cpu", non_blocking=True) | 0
h.to("cuda") | 1
h.cuda() | 1
h.to(i) | 1
h.type_as(i) | 1
h.to("cuda", non_blocking=True) | 1
h.pin_memory().to("cuda") | 1
h.pin_memory().to("cuda", non_blocking=True) | 0
torch.tensor([1, 2], pin_memory=True).cuda(non_blocking=True) | 0
torch.tensor(3, device="cuda") | 1
torch.tensor([1, 2], device="cuda") | 1
torch.as_tensor([1, 2], device="cuda") | 1
torch.asarray([1, 2], device="cuda") | 1
torch.tensor(np.arange(3), device="cuda") | 1
torch.from_numpy(np.arange(3)).cuda() | 1
torch.tensor([n, n]) | 2
torch.tensor([n, n], device="cuda") | 3
torch.stack([n, n]) | 0
torch.full((2,), 3, device="cuda") | 0
torch.scalar_tensor(3, device="cuda") | 0
i.new_tensor([1, 2]) | 1
x.new_tensor(3.0) | 1
x.new_zeros(3) | 0
x * torch.tensor(3.0) | 0
i.copy_(torch.arange(5)) | 1
i[:4] = h | 1
i[0] = 7 | 1
i[0] = h[0] | 1
i[1:3] = 7 | 0
i[1:3] = h[0] | 0
i.cuda().to("cuda:0") | 0
torch.from_dlpack(i) | 0
i.untyped_storage().data_ptr() | 0
i.untyped_storage().nbytes() | 0
i.is_pinned() | 0
torch.randperm(5, device="cuda") | 0
torch.cuda.synchronize() | 1
torch.accelerator.synchronize() | 1
torch.cuda.current_stream().synchronize() | 1
torch.cuda.empty_cache() | 1
e.record(); e.synchronize() | 1
e.record(); e.wait() | 0
while not e.query(): pass | 0
torch.cuda.current_stream().wait_stream(torch.cuda.Stream()) | 0
"""

REFUSED = """
i.numpy() | can't convert cuda:0 device type tensor to numpy
np.asarray(i) | can't convert cuda:0 device type tensor to numpy
x.index_select(0, h) | Expected all tensors to be on the same device
torch.save(i, io.BytesIO()) | pickle a copy on the host
i.untyped_storage().tolist() | reads the storage of a tensor on the device (tolist), and only tensors are counted; read
list(i.storage()) | reads the storage of a tensor on the device (its elements), and only tensors are counted; read
i.to_sparse() | makes a tensor that is not dense, and only dense ones are counted; keep it dense
torch.sparse_coo_tensor(i[None], i, (5,)) | makes a tensor that is not dense
"""

NOT_COMPUTED = """
x.to_sparse() | has no shape rule in torch {torch}, so it cannot be counted; put it behind an operator of your own
torch.geqrf(x.float()) | has no shape rule in torch {torch}, so it cannot be counted; put it behind an operator of
flag[0].copy_(x.sum()); flag.view(-1)[0].item() | keep that value on the host, or let it be a comparison
"""
"""What counting by shapes alone cannot do, and does without a word of what no command has."""

SOLVERS = """
torch.linalg.inv(x[:, :8].float())
torch.linalg.qr(x.float())
torch.linalg.det(x[:, :8].float())
torch.linalg.slogdet(x[:, :8].float())
torch.linalg.eigh(x[:, :8].float())
torch.linalg.svd(x.float())
torch.linalg.lu(x[:, :8].float())
torch.linalg.cholesky(x[:, :8].float())
torch.linalg.solve_triangular(x[:, :8].float(), x[:, :8].float(), upper=True)
torch.linalg.matrix_exp(x[:, :8].float())
torch.linalg.norm(x.float(), 2)
torch.linalg.cond(x[:, :8].float())
"""
"""Nobody knows how often these wait."""
