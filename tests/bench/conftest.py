from bench.measure import SUMMARY


def pytest_terminal_summary(terminalreporter):
    if not SUMMARY:
        return
    terminalreporter.write_line(f"\n{'':<52}{'measured':>12}{'wanted':>12}")
    for what, figure, unit, wanted in SUMMARY:
        relation, bound = wanted.split()
        missed = figure > float(bound) if relation == "<=" else figure < float(bound)
        terminalreporter.write_line(f"{what:<52}{figure:>12.2f}{wanted:>12} {unit}" + ("  missed" if missed else ""))
