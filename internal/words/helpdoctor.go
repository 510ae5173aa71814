package words

// helpDoctor is the help of kaztoken doctor.
var helpDoctor = []helpEntry{
	{"Find out why a token does not work", "Токеннің неге жұмыс істемейтінін анықтау", "Выяснить, почему токен не работает"},
	{
		"Find out why a token does not work, and say the one thing to do. It looks, in this order, whether the token is on the bus, whether this user may open it and if not which udev rule is missing or in the way, who holds it, whether the smart-card service runs, lets this user in and shows the token, whether programs look for the service where it is, whether the token answers, how it is formatted, whether a PIN is blocked, and whether the clock suits its certificates. The first thing that is wrong is told: what comes behind it cannot work before it is put right.",
		"Токеннің неге жұмыс істемейтінін анықтап, не істеу керегін айтады. Мыналар осы ретпен тексеріледі: токен шинада ма; бұл пайдаланушы оны аша ала ма, алмаса, қай udev ережесі жоқ немесе кедергі; оны кім ұстап тұр; смарт-карта қызметі жұмыс істей ме, пайдаланушыны жібере ме, токенді көрсете ме; бағдарламалар қызметті тұрған жерінен іздей ме; токен жауап бере ме; қалай пішімделген; ПИН код бұғатталған ба; сағат сертификаттарға сәйкес пе. Табылған бірінші ақау айтылады: ол түзетілмейінше, одан кейінгісі жұмыс істей алмайды.",
		"Выяснить, почему токен не работает, и сказать, что сделать. По порядку проверяется: есть ли токен на шине; может ли этот пользователь его открыть, а если нет, какого правила udev не хватает или какое мешает; кто его держит; работает ли служба смарт-карт, пускает ли этого пользователя и показывает ли токен; ищут ли программы службу там, где она есть; отвечает ли токен; как он отформатирован; не заблокирован ли PIN-код; подходят ли часы к его сертификатам. Называется первая же неисправность: пока она не устранена, остальное работать не может.",
	},
	{
		"It changes nothing and uses no try of a PIN. Run it as the user for whom the token does not work.",
		"Ол ештеңені өзгертпейді және ПИН код әрекеттерін жұмсамайды. Оны токені жұмыс істемейтін пайдаланушы атынан іске қосыңыз.",
		"Ничего не меняет и попыток PIN-кода не расходует. Запускайте от имени того пользователя, у которого токен не работает.",
	},
	{
		`The exit code tells the class of what was found:
  0  all good
  1  the token does not respond, or the clock and a certificate do not fit
  3  no token on the bus that could be used
  4  a PIN is blocked
  5  the token is there, and something stands before it: a permission, another
     program, the service
  6  its format: the vendor's, or none`,
		`Шығу коды табылғанның түрін айтады:
  0  бәрі жақсы
  1  токен жауап бермейді, немесе сағат пен сертификат сәйкес емес
  3  шинада пайдалануға болатын токен жоқ
  4  ПИН код бұғатталған
  5  токен бар, бірақ оған бірдеңе кедергі: рұқсат, басқа бағдарлама, қызмет
  6  пішімі: өндірушінікі немесе жоқ`,
		`Код завершения говорит, какого рода находка:
  0  всё хорошо
  1  токен не отвечает, или часы не подходят к сертификату
  3  на шине нет токена, которым можно пользоваться
  4  заблокирован PIN-код
  5  токен есть, но что-то мешает: права, другая программа, служба
  6  его формат: производителя, или никакого`,
	},
	{
		`--json prints an object with the keys
  finding (null if all is good): id, check, class, exit_code, device, text, todo,
  steps: check, state (fine, wrong, skipped), and devices (their names)`,
		`--json болса, мына кілттері бар нысан шығады:
  finding (бәрі жақсы болса, null): id, check, class, exit_code, device, text, todo,
  steps: check, state (fine, wrong, skipped) және devices (аттары)`,
		`С --json выводится объект с ключами
  finding (null, если всё хорошо): id, check, class, exit_code, device, text, todo,
  steps: check, state (fine, wrong, skipped) и devices (имена)`,
	},
}
