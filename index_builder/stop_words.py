"""Words that part the phrases of a text: grammar, and what every paper and talk says of itself."""

_GRAMMAR = """
a about above across after again against all almost alone along already also although always am among amongst an and
another any anyone anything apart are around as aside at away back be became because become becomes been before
behind being below beneath beside besides best better between beyond both but by came can cannot come comes could did
do does doing done down due during each either else enough etc even ever every everyone everything except far few
fewer first for former forth from further furthermore get gets give given gives go goes going gone got had has have
having he hence her here hers herself him himself his how however i ie eg if in indeed instead into is it its itself
just keep kept last later latter least less let lets like likely little made mainly make makes making many may maybe
me might mine more moreover most mostly much must my myself namely near nearly neither never nevertheless next no
nobody none nor not nothing now nowhere of off often on once one ones only onto or other others otherwise our ours
ourselves out over own part per perhaps please put quite rather really same second see seem seemed seems seen several
shall she should since so some somehow someone something sometimes somewhat soon still such take taken takes than that
the their theirs them themselves then thence there thereafter thereby therefore therein these they thing things third
this those though through throughout thus till to together too toward towards two three four five six seven eight nine
ten twice under unless unlike until up upon us use used useful uses using usually various very via was way ways we well
went were what whatever when whence whenever where whereas whereby wherein wherever whether which while who whoever
whole whom whose why will with within without would yes yet you your yours yourself don't doesn't didn't isn't aren't
wasn't weren't won't can't couldn't shouldn't wouldn't it's we're we've i'm i've you're they're that's there's let's
vs et al
""".split()
_OF_PAPERS = """
able abstract accordingly achieve achieved achieves acknowledgements add added adding address addressed addresses
aim aims allow allowed allows applied apply applying appendix approach approaches argue arxiv assume assumed assumes
author authors available based basis begin better build built calculate call called case cases chapter choose chosen
clear clearly column common commonly compare compared compares comparison conclude conclusion conclusions conduct
conducted consider considered considering consist consists contain contained contains contribution contributions
corresponding current currently define defined defines demonstrate demonstrated demonstrates denote denoted denotes
depend depends derive derived describe described describes detail details determine develop developed difference
different differ discuss discussed discussion easily effect employ enable enables equation equations especially
evaluate evaluated evaluates example examples existing expect expected experiment experiments explain fact feature fig
figure figures finally find finding findings finds fine focus follow followed following follows found full future
generally goal good great help helps high higher highest idea important importantly improve improved improvement
improvements improves include included includes including increase increased increases initial inspired interesting
introduce introduced introduces introduction investigate issue know known large larger largest lead leads learn left
line lines long low lower lowest main means measure measured mention mentioned method methods motivation need needed
needs new note notice novel number numbers obtain obtained obtains observe observed observes old order original page
pages paper papers particular particularly perform performed performs possible potential preliminary presence present
presented presents previous previously problem problems proceedings propose proposed proposes prove provide provided
provides purpose question questions reach real recent recently reduce reduced reduces refer references related remain
remaining remains report reported reports represent represents require required requires respect respective
respectively result resulting results review right run running say says section sections select selected set sets show
showed showing shown shows significant significantly similar similarly simple simply single small smaller smallest
solve solved special specific specifically start state strong study studies suggest suggests summarize summary suppose
table tables tell terms test tested therefore think time times total towards train trained try typical typically
understand unseen usual value values vary view want wants whilst wide widely work works write written year years
""".split()
STOP_WORDS = frozenset((*_GRAMMAR, *_OF_PAPERS))
