"""Values in, pages and terminal text out. Figures are computed first; no template calculates.

palette   one colour per unit, for light and dark     cells      numbers as people read them
curves    load curves read in order of load           totals     what a timeline comes to
tabulate  model values as tables                      thinning   long timelines made short
figures   a chart: plotly figure, caption and data    charts     load curves and costs drawn
frames    the time axis that figures share            timelines  what a fleet did over time, drawn
contents  model values as pages and sections          page       a page as one self-contained HTML file
terminal  tables, plans and limits in 80 columns
"""
