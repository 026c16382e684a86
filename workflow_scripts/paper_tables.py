from workflow_scripts.job import job

from pathlib import Path

from swsa_core.files import layout
from swsa_core.files.text import write_text
from swsa_core.paper import tables as paper_tables
from swsa_core.paper import typeset
from swsa_core.report import tables
from swsa_core.report.read_tables import read_tables

with job(snakemake) as mine:
    given, settings = snakemake.input, mine.settings
    kinds = settings["kinds"]

    table1, ranking = tables.TABLE1.read(given.table1), tables.RANKING.read(given.ranking)
    made = {"table1": paper_tables.table1(table1, kinds), "table2": paper_tables.table2(ranking, kinds)}
    if given.total_variation:
        variation = read_tables("total_variation", given.total_variation)
        made["table3"] = paper_tables.table3(variation, kinds, settings["tsne_tasks"])
        made["table3_all_tasks"] = paper_tables.table3_all_tasks(variation, kinds)
    if given.selection:
        selection = read_tables("selection", given.selection)
        made["mvtec_prompts"] = paper_tables.mvtec_prompts(selection, kinds)
    for path in map(Path, snakemake.output.tables):
        name = layout.fields_of("paper_table", path)["table"]
        form = typeset.FORMS[name]
        cells = form.layout(made[name])
        paper_tables.TABLES[name].write(path, made[name])
        write_text(path.with_suffix(".md"), typeset.markdown(cells, form.note))
        write_text(path.with_suffix(".tex"), typeset.latex(cells, form.note))
