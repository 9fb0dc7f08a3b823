"""Min-norm weights in torch: Lawson and Hanson's active set, with torch.linalg.lstsq on the rows that have weight."""

import torch


def subject(J):
    V = J.detach()
    A = torch.cat([V.T / (V.abs().max() if V.any() else 1), torch.ones_like(V[:1, :1]).expand(1, len(V))])
    b = torch.zeros_like(A[:, 0])
    b[-1] = 1
    x, passive = torch.zeros_like(V[:, 0]), []
    for _ in range(10 * len(V)):
        slack = A.T @ (b - A @ x)
        slack[passive] = -1
        k = int(slack.argmax())
        if slack[k] <= 4 * torch.finfo(V.dtype).eps or len(passive) == len(V):
            break
        passive.append(k)
        while True:
            found = torch.linalg.lstsq(A[:, passive], b[:, None], driver="gelsd").solution[:, 0]
            if (found > 0).all():
                break
            now = x[passive]
            room = torch.where(found <= 0, now / (now - found), torch.inf)
            room = torch.nan_to_num(room, nan=0.0, posinf=torch.inf)
            step, first = room.min(), int(room.argmin())
            moved = now + step * (found - now)
            moved[first] = 0
            x = torch.zeros_like(x)
            x[passive] = moved.clamp(min=0)
            passive = [k for k in passive if x[k] > 0]
        x = torch.zeros_like(x)
        x[passive] = found
    return x / x.sum()
