"""Abbreviations of the ten languages whose full stop ends no sentence, by what comes after them.

In all languages at once, since a text need not say which it is in. They are written as in the
middle of a sentence, without blanks and without the last stop; `words` gives the capitalised too.
"""


def words(*lines: str) -> frozenset[str]:
    """Give the words of some lines, each as it stands and with a capital in front.

    Args:
        lines: Words with blanks between them.
    """
    every = " ".join(lines).split()
    return frozenset(every) | {each[0].upper() + each[1:] for each in every}


BEFORE_ANYTHING = words(
    "mr mrs ms dr prof Gen Col Capt Lt Sgt Maj Sen Rep Gov Pres Rev Hon Messrs Mt Ft",
    "Adm Cmdr Cpl Pvt Supt Insp",
    "e.g i.e eg ie cf vs viz approx resp incl a.k.a",
    "z.B d.h u.a v.a o.ä u.ä z.T z.Zt i.d.R i.A i.Allg m.E s.a s.o s.u u.U bzw ca evtl ggf inkl",
    "exkl sog vgl bspw bzgl bezgl einschl zzgl abzgl insb frdl geb Hr Hrn Fr Frl Fa Fam Mag u Mio",
    "Mrd Hrsg Anm Bsp Dr.med Dr.jur Dr.phil Dr.rer.nat Dr.h.c Dipl.-Ing Dipl.-Kfm med.dent habil",
    "M MM Mme Mmes Mlle Mlles Me Mgr Vve p.ex c.-à-d av bd apr env",
    "sr sra srta sres sras srs srtas Dña Ud Uds Vd Vds EE p.ej Lic Ldo Lda Lcdo Lcda Sto Sta Dres",
    "Excmo Excma Exmo Exma Ilmo Ilma Rvdo Rvda Tte Cnel Sgto Dra Dras Profa Profª Enga Eng",
    "Gral Fco Ntra Avda",
    "sig sigg dott avv ing geom mons sen Egr Spett p.es ad.es",
    "т.е т.к т.н т.ч ул пр-т пер пл просп наб бул проф акад доц гл тов напр ген полк адм",
    "чл.-корр чл.-кор д.м.н к.м.н д.т.н к.т.н д.э.н к.э.н д.и.н к.и.н",
)
"""Before names and examples: they never end a sentence."""

BEFORE_NUMBERS = words(
    "no nos p pp fig figs vol ch chap sec art eq ex par para ver ext apt rm ref dep arr deg est",
    "Matt Rom Cor Gal Eph Phil Heb Ps Isa Jer",
    "ft lb lbs oz Mon Tue Wed Thu Fri Mo Di Mi Do Sa So lun mar mer jeu ven sam dim mié jue vie",
    "Nr Abs Abb Kap Bd Tab Str tel max min mind gem rd op Zi Ziff Aufl Abt",
    "tél bât esc app réf obs pág págs pag pagg núm núms n num cap séc tít nº n° nro máx mín apdo",
    "tab tav int co sez inc apto cj",
    "стр с рис табл д кв корп оф п пп ст тел мин руб тыс долл т эт доб каб изд вып макс",
    "Jan Feb Febr Mar Apr Jun Jul Aug Sep Sept Oct Okt Nov Dec Dez",
    "janv févr avr juil sept déc ene abr dic fev giu lug sett ott",
    "янв февр апр авг сент окт нояб дек",
    "al",
)
"""They end a sentence where no number follows: "No. 5", and "No. Never"."""

BEFORE_NAMES = words(
    "St Jr Inc Ltd Co Corp Bros Ph.D Ave Blvd Rd Dept Univ Assn Esq Assoc Asst Dir Attn Inst Pub",
    "Geo Jas Thos Chas Wm Pkwy Rte",
    "Chr Jh Jhs Präs Gebr Inh Reg Bez betr kath ev evang röm ehem allg amtl tägl jährl",
    "urspr entspr schweiz österr engl ital griech russ gest stellv Vors",
    "Ste Sté Ets Éts Pr boul hôp éd coll trad bull gén ed",
    "Cía Cia Soc EE.UU Cap Pdte Pdta Presid Arq Atte depto dpto Gob Prov Ctra Urb Edif Hno Hnos",
    "Vda Pza Arch Card Rag Cav Comm Cons pres gen amm",
    "Ltda Lda Brig Cel Ten Dep Fed Min Des Alm Pe Pref Fac Pça Rod",
    "г гг в вв р с им см ср св ст о оз обл дер пос ш кап лейт респ кат утв ред ок зам зав",
    "англ лат греч итал исп сев юж зап вост",
)
"""A capital may go on with a name after them; one of `BEGINNINGS` may not."""

BEFORE_SMALL = words(
    "etc al a.m p.m A.M P.M am pm usw usf ecc т.д т.п др пр руб коп долл тыс млн млрд трлн н.э",
    "обл р-н",
)
"""They end a sentence as any word does, and do not where no capitals are written."""

OF_AMOUNTS = words("a.m p.m A.M P.M am pm руб коп долл тыс млн млрд трлн")
"""Of these, those that say what a number counts: capitals alone go on, "3 p.m. EST"."""

AT_THE_FRONT = words("P.S P.P.S PS P.-S P.D N.B NB Obs")
"""They begin a sentence, which goes on."""

BEGINNINGS = frozenset(
    " ".join(
        (
            "The This That These Those He She It We They You I In On At But And So If When There A",
            "An As After Before What Why How Who Where His Her Our My Your Their Its No Yes Then",
            "However Nobody Everyone Someone For With Not",
            "Der Die Das Er Sie Es Wir Ich Ein Eine Und Aber Dann Danach Wenn Wer Was Wo Wie Dort",
            "Le La Les Il Elle Ils Elles Nous Vous Je On Un Une Et Mais Puis Ensuite Ce Cette",
            "El Los Las Él Ella Ellos Ellas Yo Una Y Pero Luego Después Es Esto Este Esta",
            "Lo Gli Lui Lei Noi Voi Ma Poi È Questo Questa",
            "O Os As Ele Ela Eles Elas Nós Um Uma E Mas Depois Isto Isso",
            "Он Она Оно Они Мы Вы Я Это Но И А Потом Затем Когда В На",
        )
    ).split()
)
"""Words that begin a sentence when they have a capital; names hardly ever begin with them."""

ORDINALS = words(
    "am im vom zum zur beim ins der die das dem den des jede jeden jedem jeder jedes",
    "seine seinen seinem seiner ihre ihren ihrem ihrer meine meinen meinem meiner",
    "unsere unseren unserem unserer in bis seit ab als an auf zu",
)
"""German words after which a number with a stop is an ordinal: "am 3. Oktober", "in 3. Auflage"."""

MONTHS = words(
    "Januar Februar März April Mai Juni Juli August September Oktober November Dezember Jahrhundert"
)
"""German words before which such a number is one too, as is that of a century."""

SYLLABLES = "가나다라마바사"
"""Korean labels, as a, b and c are."""
