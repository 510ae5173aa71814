package words

// tables is the catalogue of every build; the order does not matter.
var tables = [][]entry{frame, ask, done, problems, hints, information, listing, certificates, service, helping, registering, tracing, diagnoses}

// frame is what stands around other texts.
var frame = []entry{
	{"frame.hint", "кеңес", "подсказка", "hint"},
	{"frame.details", "толығырақ", "подробности", "details"},
	{"frame.warning", "ескерту", "предупреждение", "warning"},
	{"frame.help", "қараңыз: {command} --help", "см. {command} --help", "see {command} --help"},
	{"yes", "иә", "да", "yes"},
	{"no", "жоқ", "нет", "no"},
	{"unknown", "белгісіз", "неизвестно", "unknown"},
	{"bytes", "{n} байт", "{n} {n|байт|байта|байт}", "{n} {n|byte|bytes}"},
}

// ask is what the program asks on the terminal.
var ask = []entry{
	{
		"ask.pin", "{role?user:Пайдаланушының|admin:Әкімшінің} ПИН коды: ",
		"PIN-код {role?user:Пользователя|admin:Администратора}: ",
		"{role?user:User|admin:Administrator} PIN: ",
	},
	{
		"ask.newpin", "{role?user:Пайдаланушының|admin:Әкімшінің} жаңа ПИН коды: ",
		"Новый PIN-код {role?user:Пользователя|admin:Администратора}: ",
		"New {role?user:user|admin:administrator} PIN: ",
	},
	{"ask.password", "{file} файлының құпиясөзі: ", "Пароль файла {file}: ", "Password of {file}: "},
	{
		"ask.left", "{role?user:Пайдаланушының|admin:Әкімшінің} ПИН кодын енгізуге {n} әрекет қалды",
		"PIN-код {role?user:Пользователя|admin:Администратора}: {n|осталась|остались|осталось} {n} {n|попытка|попытки|попыток}",
		"{role?user:User|admin:Administrator} PIN: {n} {n|try|tries} left",
	},
	{
		"ask.last", "Бір ғана әрекет қалды: бұл ПИН код та қате болса, ол бұғатталады. Соңғы әрекетті пайдалану керек пе?",
		"Осталась одна попытка: если и этот PIN-код неверен, он будет заблокирован. Использовать последнюю попытку?",
		"One try is left: if this PIN is wrong too, it is blocked. Use the last try?",
	},
	{"ask.token", "Токен: {name}, ID {id}", "Токен: {name}, ID {id}", "Token: {name}, ID {id}"},
	{"ask.yesno", "[и/Ж]", "[д/Н]", "[y/N]"},
	{
		"ask.keys", "Таңдалған кілт жұптарын жою керек пе? Оларды қалпына келтіру мүмкін емес",
		"Удалить выбранные ключевые пары? Восстановить их невозможно", "Delete the selected key pairs? They cannot be brought back",
	},
	{
		"ask.objects", "Таңдалған деректер нысандарын жою керек пе?",
		"Удалить выбранные объекты данных?", "Delete the selected data objects?",
	},
	{
		"ask.replace", "«{label}» нысаны токенде бұрыннан бар. Оны ауыстыру керек пе?",
		"Объект «{label}» уже есть на токене. Заменить его?", "The token has an object {label} already. Replace it?",
	},
	{
		"ask.repair", "Табылған қалдықтарды тазалау керек пе?",
		"Устранить найденное?", "Clear what was found?",
	},
	{
		"ask.foreign", "Бұл токен басқа бағдарламамен пішімделген. Пішімдегеннен кейін ол бағдарлама токенді танымауы мүмкін",
		"Этот токен отформатирован другой программой. После форматирования она может его не распознать",
		"This token was formatted by another program, which may not recognise it afterwards",
	},
	{
		"warn.readable", "{file} файлын басқа пайдаланушылар оқи алады; мынаны орындаңыз: chmod 600 {file}",
		"файл {file} могут прочитать другие пользователи; выполните: chmod 600 {file}",
		"other users can read {file}: chmod 600 {file}",
	},
	{
		"warn.pin.weak", "бұл ПИН кодты табу оңай: " + weakKK + ". Әріптер мен цифрларды араластырған жөн",
		"этот PIN-код легко подобрать: " + weakRU + ". Лучше сочетать буквы и цифры",
		"this PIN is easy to guess: " + weakEN + ". It is better to mix letters and digits",
	},
	{
		"warn.defaults", "ПИН кодтар әдепкі мәндерге орнатылды. Оларды өзгертуді ұсынамыз",
		"установлены PIN-коды по умолчанию. Рекомендуем изменить их",
		"the PINs are the default ones. We advise you to change them",
	},
	{
		"warn.reset", "ПИН кодты енгізу әрекеттерінің саны қалпына келтірілді, бірақ ПИН кодтың өзі өзгертілген жоқ",
		"счётчик попыток PIN-кода восстановлен, но сам PIN-код не изменён",
		"the tries of the PIN are restored, but the PIN itself is not changed",
	},
}

// done is what the program tells of what it did.
var done = []entry{
	{
		"done.verify", "{role?user:Пайдаланушының|admin:Әкімшінің} ПИН коды дұрыс",
		"PIN-код {role?user:Пользователя|admin:Администратора} верен",
		"The {role?user:user|admin:administrator} PIN is right",
	},
	{
		"done.change", "{role?user:Пайдаланушының|admin:Әкімшінің} ПИН коды өзгертілді",
		"PIN-код {role?user:Пользователя|admin:Администратора} изменён",
		"The {role?user:user|admin:administrator} PIN has been changed",
	},
	{
		"done.unblock", "Пайдаланушының ПИН коды бұғаттан шығарылды",
		"PIN-код Пользователя разблокирован", "The user PIN has been unblocked",
	},
	{
		"done.unblock.new", "Пайдаланушының ПИН коды бұғаттан шығарылып, өзгертілді",
		"PIN-код Пользователя разблокирован и изменён", "The user PIN has been unblocked and changed",
	},
	{"done.rename", "Токеннің жаңа аты: {name}", "Новое имя токена: {name}", "The token is now called {name}"},
	{"done.format", "KAZTOKEN пішімделді: {name}", "KAZTOKEN отформатирован: {name}", "The KAZTOKEN has been formatted: {name}"},
	{"done.certificate", "Сертификат импортталды: {label}", "Сертификат импортирован: {label}", "Certificate imported: {label}"},
	{
		"done.identity", "Импортталды: «{label}» кілт жұбы және {n} сертификат",
		"Импортировано: ключевая пара «{label}» и {n} {n|сертификат|сертификата|сертификатов}",
		"Imported: key pair {label} and {n} {n|certificate|certificates}",
	},
	{"done.generate", "Кілт жұбы жасалды: {label}, ID {id}", "Создана ключевая пара: {label}, ID {id}", "Key pair generated: {label}, ID {id}"},
	{"done.object", "Нысан жазылды: {label}", "Объект записан: {label}", "Object written: {label}"},
	{
		"done.delete", "{n} нысан жойылды",
		"{n|Удалён|Удалены|Удалено} {n} {n|объект|объекта|объектов}", "{n} {n|object|objects} deleted",
	},
	{
		"done.file", "{file} файлына {n} байт жазылды",
		"В файл {file} {n|записан|записаны|записано} {n} {n|байт|байта|байт}", "{n} {n|byte|bytes} written to {file}",
	},
	{"done.default", "Әдепкі сертификат: {label}, ID {id}", "Сертификат по умолчанию: {label}, ID {id}", "Default certificate: {label}, ID {id}"},
	{"done.default.none", "Әдепкі сертификат таңдалмаған", "Сертификат по умолчанию не выбран", "No default certificate is chosen"},
	{"done.check", "Токен тәртіпте: қалдықтар жоқ", "Токен в порядке: лишнего не найдено", "The token is in order: nothing is left over"},
	{"done.repair", "Түзетілді: {n}", "Устранено: {n}", "Cleared: {n}"},
	{"busy.generate", "Кілт жұбы жасалуда", "Создаётся ключевая пара", "Generating the key pair"},
	{"busy.import", "Импортталуда", "Импортируется", "Importing"},
	{"busy.delete", "Жойылуда", "Удаляется", "Deleting"},
}
