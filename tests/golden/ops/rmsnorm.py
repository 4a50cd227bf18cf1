# {op: rmsnorm}
# RmsNorm(...)


class Unit(torch.autograd.Function):
    """x over its root mean square, with a gradient of four kernels: (..., D) -> (..., D)."""

    @staticmethod
    def forward(ctx, x, eps):
        scale = (x.square().mean(-1, keepdim=True) + eps).rsqrt()  # (..., 1)
        y = x * scale
        ctx.save_for_backward(y, scale)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        y, scale = ctx.saved_tensors
        along = (grad * y).mean(-1, keepdim=True)
        return torch.addcmul(grad, y, along, value=-1).mul_(scale), None


def unit(x, weight=None, eps=None):
    """RMSNorm: torch's own on a GPU and in half precision; in full precision on a CPU its gradient is a dozen kernels."""
    if x.is_cuda or x.dtype.itemsize < 4:
        return F.rms_norm(x, x.shape[-1:], weight, eps)
    y = Unit.apply(x, torch.finfo(x.dtype).eps if eps is None else eps)
    return y if weight is None else y * weight


class RmsNorm(nn.Module):
    """Root-mean-square norm with a learned scale: (..., D) -> (..., D)."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return unit(x, self.weight, eps=1e-6)


# {op: rmsnorm, placement: post}
# RmsNorm(...)


class Unit(torch.autograd.Function):
    """x over its root mean square, with a gradient of four kernels: (..., D) -> (..., D)."""

    @staticmethod
    def forward(ctx, x, eps):
        scale = (x.square().mean(-1, keepdim=True) + eps).rsqrt()  # (..., 1)
        y = x * scale
        ctx.save_for_backward(y, scale)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        y, scale = ctx.saved_tensors
        along = (grad * y).mean(-1, keepdim=True)
        return torch.addcmul(grad, y, along, value=-1).mul_(scale), None


def unit(x, weight=None, eps=None):
    """RMSNorm: torch's own on a GPU and in half precision; in full precision on a CPU its gradient is a dozen kernels."""
    if x.is_cuda or x.dtype.itemsize < 4:
        return F.rms_norm(x, x.shape[-1:], weight, eps)
    y = Unit.apply(x, torch.finfo(x.dtype).eps if eps is None else eps)
    return y if weight is None else y * weight


class RmsNorm(nn.Module):
    """Root-mean-square norm with a learned scale: (..., D) -> (..., D)."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return unit(x, self.weight, eps=1e-6)


# {op: rmsnorm, placement: parallel}
# RmsNorm(...)


class Unit(torch.autograd.Function):
    """x over its root mean square, with a gradient of four kernels: (..., D) -> (..., D)."""

    @staticmethod
    def forward(ctx, x, eps):
        scale = (x.square().mean(-1, keepdim=True) + eps).rsqrt()  # (..., 1)
        y = x * scale
        ctx.save_for_backward(y, scale)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        y, scale = ctx.saved_tensors
        along = (grad * y).mean(-1, keepdim=True)
        return torch.addcmul(grad, y, along, value=-1).mul_(scale), None


def unit(x, weight=None, eps=None):
    """RMSNorm: torch's own on a GPU and in half precision; in full precision on a CPU its gradient is a dozen kernels."""
    if x.is_cuda or x.dtype.itemsize < 4:
        return F.rms_norm(x, x.shape[-1:], weight, eps)
    y = Unit.apply(x, torch.finfo(x.dtype).eps if eps is None else eps)
    return y if weight is None else y * weight


class RmsNorm(nn.Module):
    """Root-mean-square norm with a learned scale: (..., D) -> (..., D)."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return unit(x, self.weight, eps=1e-6)
